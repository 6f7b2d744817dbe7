import COctavo
import Foundation

/// A model whose kernels are in the library.
struct PackagedModel {
    let name: String
    let program: UnsafePointer<octavo_program>

    /// File name of its weights among the resources, without ending.
    let weights: String

    static func find(_ name: String?) throws -> PackagedModel {
        let all = packagedModels()
        if name == nil, let only = all.first, all.count == 1 {
            return only
        }
        if let found = all.first(where: { $0.name == name }) {
            return found
        }
        let known = all.map(\.name).joined(separator: ", ")
        let problem = name.map { "no model \"\($0)\"" } ?? "a model must be named"
        throw OctavoError(.invalidArgument, "\(problem); there are: \(known)")
    }

    /// Its weights in the bundle of this package.
    func bundledWeights() throws -> URL {
        let folder = "Models"
        guard let url = Bundle.module.url(
            forResource: weights, withExtension: "weights", subdirectory: folder)
        else {
            throw OctavoError(
                .fileError,
                "\(folder)/\(weights).weights is missing from \(Bundle.module.bundlePath)")
        }
        return url
    }

    /// Instructions that it needs and this processor lacks.
    func missingFeatures() -> String {
        let missing = octavo_missing_cpu_features(program)
        let names = (UInt32(0)..<64).filter { missing >> UInt64($0) & 1 == 1 }
            .map { String(cString: octavo_cpu_feature_name($0)) }
        return names.joined(separator: " ")
    }
}
