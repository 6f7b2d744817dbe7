/// How a model runs.
public struct OctavoOptions: Sendable, Equatable {
    /// Threads of its layers, 1 to 256; the thread that calls `run` is one of them.
    public var threads: Int

    /// Options with a number of threads.
    public init(threads: Int = 1) {
        self.threads = threads
    }
}
