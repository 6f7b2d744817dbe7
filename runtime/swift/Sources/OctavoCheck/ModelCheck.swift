import Octavo

/// Whether a model gives on this device what it gave where it was compiled.
public struct ModelCheck: Sendable, CustomStringConvertible {
    /// Name of the model.
    public let model: String

    /// Name of the target that it is compared with; nil where there is no such sample, and one
    /// thread is compared with four alone.
    public let reference: String?

    /// A line for each output that differs.
    public let differences: [String]

    /// Nanoseconds of one run in one thread.
    public let runNanoseconds: UInt64

    /// One line, or more where something differs.
    public var description: String {
        let compared = reference.map { "the bytes of \($0)" } ?? "the same with four threads"
        let milliseconds = Double(runNanoseconds) / 1e6
        let result = differences.isEmpty ? compared : differences.joined(separator: "\n  ")
        return "\(model): \(result); \(milliseconds) ms"
    }
}

/// Runs every model of the package on its sample.
///
/// An app that is being developed can call it on the device that it is for:
///
///     for check in try checkModels() { print(check) }
///
/// - Throws: `OctavoError` if a model does not load or run.
public func checkModels() throws -> [ModelCheck] {
    try Sample.all().map { (sample: Sample) throws -> ModelCheck in
        let model = try OctavoModel(named: sample.model)
        let inputs = try sample.inputTensors(of: model)
        let results = try model.run(inputs)
        let nanoseconds = try model.usage().lastRunNanoseconds ?? 0
        let threaded = try OctavoModel(
            named: sample.model, options: OctavoOptions(threads: 4)
        ).run(inputs)
        var differences: [String] = []
        for (index, expected) in try sample.expectedOutputs().enumerated() {
            // Of rows that are counted, the sample has those in use.
            let first = Array(results[index].bytes.prefix(expected.count))
            differences += compare(
                first, expected, "\(model.outputs[index].name) with \(sample.reference ?? "")")
        }
        for (index, result) in results.enumerated() {
            differences += compare(
                threaded[index].bytes, result.bytes,
                "\(model.outputs[index].name) in four threads with one")
        }
        return ModelCheck(
            model: sample.model, reference: sample.reference, differences: differences,
            runNanoseconds: nanoseconds)
    }
}

private func compare(_ found: [UInt8], _ expected: [UInt8], _ what: String) -> [String] {
    guard found != expected else { return [] }
    let count = zip(found, expected).filter { $0 != $1 }.count
    let missing = expected.count - min(found.count, expected.count)
    return ["\(what): \(count + missing) of \(expected.count) bytes differ"]
}
