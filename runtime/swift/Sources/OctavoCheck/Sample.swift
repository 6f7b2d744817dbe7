import Foundation
import Octavo

/// Inputs of a model, and what another machine made of them.
struct Sample: Decodable {
    let model: String

    /// A file for each input; nil for zeros.
    let inputs: [String?]

    /// A file for each output; empty where nothing was run elsewhere.
    let outputs: [String]

    /// Name of the target that the outputs were computed on.
    let reference: String?

    static func all() throws -> [Sample] {
        let record = Data(try bytes(of: "samples.json"))
        return try JSONDecoder().decode([Sample].self, from: record)
    }

    func inputTensors(of model: OctavoModel) throws -> [OctavoTensor] {
        var tensors: [OctavoTensor] = []
        for (file, info) in zip(inputs, model.inputs) {
            var bytes = [UInt8](repeating: 0, count: info.byteCount)
            if let file {
                bytes = try Sample.bytes(of: file)
            }
            tensors.append(OctavoTensor(bytes: bytes, as: info.dataType))
        }
        return tensors
    }

    func expectedOutputs() throws -> [[UInt8]] {
        try outputs.map { try Sample.bytes(of: $0) }
    }

    private static func bytes(of file: String) throws -> [UInt8] {
        guard let url = Bundle.module.url(
            forResource: file, withExtension: nil, subdirectory: "Samples")
        else {
            throw CocoaError(.fileNoSuchFile, userInfo: [NSFilePathErrorKey: file])
        }
        return [UInt8](try Data(contentsOf: url))
    }
}
