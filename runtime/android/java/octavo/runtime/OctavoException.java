package octavo.runtime;

/** What the runtime says of something that failed. */
public final class OctavoException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    private final Status status;

    OctavoException(Status status, String message) {
        super(message);
        this.status = status;
    }

    OctavoException(Status status, String message, Throwable cause) {
        super(message, cause);
        this.status = status;
    }

    /** Which kind of failure it is. */
    public Status status() {
        return status;
    }

    /** Kinds of failure, as in octavo_runtime.h. */
    public enum Status {
        OK,
        INVALID_ARGUMENT,
        OUT_OF_MEMORY,
        /** The weights cannot be opened or mapped. */
        FILE_ERROR,
        /** The weights are not those of the model. */
        WRONG_SIZE,
        WRONG_ABI,
        /** The CPU lacks instructions that the model was compiled for. */
        UNSUPPORTED_CPU,
        THREAD_ERROR,
        NOT_PREPARED,
        KERNEL_FAILED,
        TILES_REFUSED,
        NO_ACCELERATOR,
        ACCELERATOR_FAILED,
        /** {@link OctavoModel#cancel} ended the run. */
        CANCELLED,
        BUSY,
        /** One that this version of the classes does not know. */
        UNKNOWN;

        static Status of(int number) {
            return number >= 0 && number < UNKNOWN.ordinal() ? values()[number] : UNKNOWN;
        }
    }
}
