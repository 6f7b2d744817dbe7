import COctavo
import Foundation

/// A compiled model that is ready to run.
///
///     let model = try OctavoModel(named: "digits")
///     let logits = try model.run(pixels, as: Float.self)    // pixels: [Float]
///
/// Every method may be called from any thread, which is what makes the class `Sendable`: runs of
/// one model wait for each other. Load a model twice to run it twice at once; weights that are
/// mapped are in memory once. A run keeps its thread until it is done, so call it from a task or
/// queue that may wait, not from the main one.
public final class OctavoModel: @unchecked Sendable {
    /// Names of the models of this package.
    public static var names: [String] { packagedModels().map(\.name) }

    /// Its name.
    public let name: String

    /// What a run takes.
    public let inputs: [OctavoTensorInfo]

    /// What a run gives.
    public let outputs: [OctavoTensorInfo]

    private let running = NSLock()  // held by whatever waits for a run to end
    private let opening = NSLock()  // guards handle; taken after `running`
    private var handle: OpaquePointer?  // nil: closed

    /// Loads a model with the weights of this package, which are mapped, not copied.
    ///
    /// - Parameters:
    ///   - name: One of `names`; nil for the only one.
    ///   - options: How it runs.
    /// - Throws: `OctavoError`.
    public convenience init(
        named name: String? = nil, options: OctavoOptions = OctavoOptions()
    ) throws {
        let model = try PackagedModel.find(name)
        try self.init(model, weights: model.bundledWeights(), options: options)
    }

    /// Loads a model with the weights of a file, such as one that was downloaded.
    ///
    /// - Parameters:
    ///   - url: Of the file, which is mapped, and must not be cut short while it is in use.
    ///   - name: One of `names`; nil for the only one.
    ///   - options: How it runs.
    /// - Throws: `OctavoError`: a missing file, weights of another model.
    public convenience init(
        contentsOf url: URL, named name: String? = nil, options: OctavoOptions = OctavoOptions()
    ) throws {
        try self.init(PackagedModel.find(name), weights: url, options: options)
    }

    private init(_ model: PackagedModel, weights: URL, options: OctavoOptions) throws {
        let program = model.program.pointee
        name = model.name
        inputs = try (0..<Int(program.num_inputs)).map {
            try OctavoTensorInfo(program.inputs[$0])
        }
        outputs = try (0..<Int(program.num_outputs)).map {
            try OctavoTensorInfo(program.outputs[$0])
        }
        handle = try OctavoModel.load(model, weights, options)
    }

    deinit {
        octavo_destroy(handle)
    }

    private static func load(
        _ model: PackagedModel, _ weights: URL, _ options: OctavoOptions
    ) throws -> OpaquePointer {
        guard weights.isFileURL else {
            throw OctavoError(.invalidArgument, "\(weights.absoluteString): not a file")
        }
        guard (1...256).contains(options.threads) else {
            throw OctavoError(.invalidArgument, "threads: \(options.threads); 1 to 256 allowed")
        }
        var loaded: OpaquePointer?
        var status = weights.withUnsafeFileSystemRepresentation {
            octavo_load(model.program, $0, &loaded)
        }
        guard status == OCTAVO_OK, let handle = loaded else {
            throw OctavoError(status, at: weights.path)
        }
        var values = octavo_options()
        values.num_threads = UInt32(options.threads)
        status = octavo_prepare(handle, &values)
        guard status == OCTAVO_OK else {
            let missing = model.missingFeatures()
            let details = missing.isEmpty ? String(cString: octavo_failure(handle)) : missing
            octavo_destroy(handle)
            throw OctavoError(status, at: model.name, details: details)
        }
        return handle
    }

    /// One inference of a model with one input and one output.
    ///
    /// - Parameters:
    ///   - values: The input's elements, row after row.
    ///   - type: Type of the output's elements.
    /// - Throws: `OctavoError` if the model has more inputs or outputs, or others; see `run(_:)`.
    public func run<Input: OctavoElement, Output: OctavoElement>(
        _ values: [Input], as type: Output.Type
    ) throws -> [Output] {
        guard outputs.count == 1 else {
            throw OctavoError(
                .invalidArgument, "\(name) has \(outputs.count) outputs, and one is asked for")
        }
        return try run([OctavoTensor(values)])[0].values(as: type)
    }

    /// One inference.
    ///
    /// - Parameter tensors: One for each input, in the order of `inputs`.
    /// - Returns: One for each output, in the order of `outputs`.
    /// - Throws: `OctavoError` if a tensor is missing, or of another size or type; if the model is
    ///   closed; if the run fails or is cancelled. The model can be used afterwards.
    public func run(_ tensors: [OctavoTensor]) throws -> [OctavoTensor] {
        guard tensors.count == inputs.count else {
            throw OctavoError(
                .invalidArgument, "\(name) has \(inputs.count) inputs, not \(tensors.count)")
        }
        for (tensor, info) in zip(tensors, inputs) {
            try tensor.check(fits: info)
        }
        var results: [OctavoTensor] = []
        try run(
            writing: { index, memory in memory.copyBytes(from: tensors[index].bytes) },
            reading: { index, memory in
                results.append(
                    OctavoTensor(bytes: [UInt8](memory), as: outputs[index].dataType))
            })
        return results
    }

    /// One inference without copies: inputs are written where the model reads them.
    ///
    /// The memory is valid inside of the closures only. They must not use this model: it is busy.
    ///
    /// - Parameters:
    ///   - write: Is given each input's index and memory, all of which it fills.
    ///   - read: Is given each output's index and memory.
    /// - Throws: `OctavoError` as `run(_:)`, or what a closure throws.
    public func run(
        writing write: (Int, UnsafeMutableRawBufferPointer) throws -> Void,
        reading read: (Int, UnsafeRawBufferPointer) throws -> Void
    ) throws {
        running.lock()
        defer { running.unlock() }
        let instance = try openHandle()
        for (index, info) in inputs.enumerated() {
            let memory = UnsafeMutableRawBufferPointer(
                start: octavo_input(instance, UInt32(index)), count: info.byteCount)
            try write(index, memory)
        }
        try check(octavo_run(instance), instance)
        for (index, info) in outputs.enumerated() {
            let memory = UnsafeRawBufferPointer(
                start: octavo_output(instance, UInt32(index)), count: info.byteCount)
            try read(index, memory)
        }
    }

    /// Ends the run that is in progress before its next layer; it throws `.cancelled`. State that
    /// outlives a run is then that of half of one: see `reset`.
    ///
    /// - Returns: Whether there was a run.
    @discardableResult
    public func cancel() -> Bool {
        opening.lock()
        defer { opening.unlock() }
        guard let instance = handle else { return false }
        return octavo_cancel(instance)
    }

    /// Forgets what outlives a run, such as the state of a recurrent network.
    ///
    /// - Throws: `OctavoError` if the model is closed.
    public func reset() throws {
        running.lock()
        defer { running.unlock() }
        let instance = try openHandle()
        try check(octavo_reset(instance), instance)
    }

    /// What the model takes, and how long the last run took. Does not wait for a run.
    ///
    /// - Throws: `OctavoError` if the model is closed.
    public func usage() throws -> OctavoUsage {
        opening.lock()
        defer { opening.unlock() }
        guard let instance = handle else { throw closedError() }
        var usage = octavo_usage()
        try check(octavo_get_usage(instance, &usage), instance)
        return OctavoUsage(usage)
    }

    /// Waits for a run to end, then frees everything. A closed model stays closed; one that
    /// nothing refers to is closed by itself.
    public func close() {
        running.lock()
        defer { running.unlock() }
        opening.lock()
        defer { opening.unlock() }
        octavo_destroy(handle)
        handle = nil
    }

    private func openHandle() throws -> OpaquePointer {
        opening.lock()
        defer { opening.unlock() }
        guard let instance = handle else { throw closedError() }
        return instance
    }

    private func closedError() -> OctavoError {
        OctavoError(.closed, "model \(name) is closed")
    }

    private func check(_ status: octavo_status, _ instance: OpaquePointer) throws {
        guard status == OCTAVO_OK else {
            throw OctavoError(status, at: name, details: String(cString: octavo_failure(instance)))
        }
    }
}
