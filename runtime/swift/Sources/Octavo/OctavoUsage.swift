import COctavo

/// What a model takes. The stacks of threads are not counted.
public struct OctavoUsage: Sendable, Equatable {
    /// Bytes of the tensors between layers.
    public let arenaByteCount: Int

    /// Bytes of the weight file that are mapped: the system may drop them and read them again.
    public let mappedWeightsByteCount: Int

    /// Bytes of weights in memory of their own: packed ones, expanded.
    public let copiedWeightsByteCount: Int

    /// Bytes of everything else.
    public let instanceByteCount: Int

    /// Nanoseconds of the last run that succeeded, without copies; nil before the first one.
    public let lastRunNanoseconds: UInt64?

    /// Threads, the caller's included.
    public let threads: Int

    init(_ usage: octavo_usage) {
        arenaByteCount = Int(usage.arena_bytes)
        mappedWeightsByteCount = Int(usage.weights_mapped_bytes)
        copiedWeightsByteCount = Int(usage.weights_copied_bytes)
        instanceByteCount = Int(usage.instance_bytes)
        lastRunNanoseconds = usage.last_run_ns == 0 ? nil : usage.last_run_ns
        threads = Int(usage.num_threads)
    }
}
