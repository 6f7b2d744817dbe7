package octavo.runtime;

import java.nio.Buffer;
import java.nio.ByteBuffer;
import java.nio.charset.Charset;

/**
 * The functions of the native library. Their callers check everything that they are given: models
 * and tensors by number must exist, handles be open, buffers be direct and large enough.
 */
final class Native {
    static final int OK = 0;

    private static final Charset UTF_8 = Charset.forName("UTF-8");

    private static final UnsatisfiedLinkError FAILURE = load();

    private Native() {}

    private static UnsatisfiedLinkError load() {
        try {
            System.loadLibrary("octavo_jni");
            return null;
        } catch (UnsatisfiedLinkError error) {
            return error;
        }
    }

    /** Says once more what kept the library from being loaded. */
    static void check() {
        if (FAILURE != null) {
            throw new OctavoException(
                    OctavoException.Status.FILE_ERROR,
                    "no library of the models for this machine: " + FAILURE.getMessage(),
                    FAILURE);
        }
    }

    static native int numModels();

    static native byte[] modelName(int model);

    static native byte[] assetName(int model);

    /** Instruction sets that the CPU lacks, separated by spaces. */
    static native byte[] missingFeatures(int model);

    static native long weightsBytes(int model);

    static native int numTensors(int model, boolean isOutput);

    static native byte[] tensorName(int model, boolean isOutput, int index);

    /** Type, bytes, whether quantized, the scale's bits, the zero point, then the shape. */
    static native long[] tensorRecord(int model, boolean isOutput, int index);

    /** Bytes to leave out at the front of a buffer, so that weights may begin there. */
    static native int misalignment(ByteBuffer buffer);

    /** Each returns a handle, or 0 and the reason in status[0]. */
    static native long loadPath(int model, byte[] path, int[] status);

    static native long loadDescriptor(
            int model, int descriptor, long offset, long numBytes, int[] status);

    static native long loadMemory(int model, ByteBuffer weights, int[] status);

    static native int prepare(long handle, int numThreads, long cpus, byte[] cacheFolder);

    /** Buffers begin with the first byte of their tensor; a null output is left out. */
    static native int run(long handle, Buffer[] inputs, Buffer[] outputs);

    static native boolean cancel(long handle);

    static native int reset(long handle);

    static native int usage(long handle, long[] numbers);

    static native void destroy(long handle);

    static native byte[] message(int status);

    static native byte[] failure(long handle);

    static native long findCpus(int kind);

    static String text(byte[] bytes) {
        return new String(bytes, UTF_8);
    }

    /** Text for C: UTF-8 with a zero behind it; null for null. */
    static byte[] bytes(String text) {
        if (text == null) {
            return null;
        }
        if (text.indexOf('\0') >= 0) {
            throw new IllegalArgumentException("a path has no zero characters");
        }
        return (text + '\0').getBytes(UTF_8);
    }
}
