package octavo.runtime;

/** What a loaded model takes; stacks of threads and a GPU's own copies are not counted. */
public final class OctavoUsage {
    static final int NUM_NUMBERS = 7;

    private final long[] numbers;

    OctavoUsage(long[] numbers) {
        this.numbers = numbers;
    }

    /** Memory of activations. */
    public long arenaBytes() {
        return numbers[0];
    }

    /** Pages of the weights' file, which the system may drop and read again. */
    public long weightsMappedBytes() {
        return numbers[1];
    }

    /** Weights in memory of their own: packed ones, and those of a file that cannot be mapped. */
    public long weightsCopiedBytes() {
        return numbers[2];
    }

    /** Everything else. */
    public long instanceBytes() {
        return numbers[3];
    }

    /** Time of the last run that succeeded, without copies; 0 before it. */
    public long lastRunNanos() {
        return numbers[4];
    }

    /** Threads of a run, the caller's included. */
    public int numThreads() {
        return (int) numbers[5];
    }

    /** How many of them the system keeps on the CPUs that options wished for. */
    public int numPinnedThreads() {
        return (int) numbers[6];
    }
}
