package octavo.runtime;

/** How a model runs. Each method changes the options and returns them. */
public final class OctavoOptions {
    static final int MAX_THREADS = 256;

    /** Which cores threads may run on. A wish: a system that does not grant it is no error. */
    public enum Cpus {
        ANY,
        /** The fast ones of a phone with cores of several kinds. */
        BIG,
        /** The slow ones, which take less power. */
        LITTLE
    }

    private int numThreads = 1;
    private Cpus cpus = Cpus.ANY;
    private String cacheFolder;

    /**
     * How many threads a run takes, the caller's included.
     *
     * @throws IllegalArgumentException if it is not 1 to 256
     */
    public OctavoOptions threads(int count) {
        if (count < 1 || count > MAX_THREADS) {
            throw new IllegalArgumentException(count + " threads; allowed: 1 to " + MAX_THREADS);
        }
        numThreads = count;
        return this;
    }

    /** Which cores threads may run on, that of the caller excepted. */
    public OctavoOptions cpus(Cpus kind) {
        if (kind == null) {
            throw new IllegalArgumentException("cpus is null; Cpus.ANY lets the system choose");
        }
        cpus = kind;
        return this;
    }

    /**
     * A folder that keeps what a GPU's driver made of a model's kernels. Loading by a Context takes
     * the app's code cache where none is given.
     */
    public OctavoOptions cacheFolder(String path) {
        cacheFolder = path;
        return this;
    }

    /** The same options with another folder; these stay as they are. */
    OctavoOptions withCacheFolder(String path) {
        return new OctavoOptions().threads(numThreads).cpus(cpus).cacheFolder(path);
    }

    int numThreads() {
        return numThreads;
    }

    String cacheFolder() {
        return cacheFolder;
    }

    /** CPUs as bits; 0: any. */
    long cpuBits() {
        return cpus == Cpus.ANY ? 0 : Native.findCpus(cpus == Cpus.BIG ? 0 : 1);
    }
}
