package octavo.runtime;

import java.nio.Buffer;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.DoubleBuffer;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import java.nio.LongBuffer;
import java.nio.ShortBuffer;

/** Types of elements, as in octavo_runtime.h, and the buffers that hold them. */
public enum DataType {
    FLOAT32(4, FloatBuffer.class),
    FLOAT64(8, DoubleBuffer.class),
    FLOAT16(2, ShortBuffer.class),
    BFLOAT16(2, ShortBuffer.class),
    BOOL(1, ByteBuffer.class),
    INT8(1, ByteBuffer.class),
    INT16(2, ShortBuffer.class),
    INT32(4, IntBuffer.class),
    INT64(8, LongBuffer.class),
    UINT8(1, ByteBuffer.class),
    UINT16(2, ShortBuffer.class),
    UINT32(4, IntBuffer.class),
    UINT64(8, LongBuffer.class);

    private final int numBytes;
    private final Class<? extends Buffer> bufferClass;

    DataType(int numBytes, Class<? extends Buffer> bufferClass) {
        this.numBytes = numBytes;
        this.bufferClass = bufferClass;
    }

    /** Bytes of one element. */
    public int numBytes() {
        return numBytes;
    }

    /** The kind of buffer that holds such elements; a ByteBuffer holds any, as their bytes. */
    public Class<? extends Buffer> bufferClass() {
        return bufferClass;
    }

    static DataType of(long number) {
        if (number < 0 || number >= values().length) {
            throw new IllegalStateException("the library and its classes are not of one version");
        }
        return values()[(int) number];
    }

    /** The rest of a buffer, from its position on, as one that starts with it. */
    static Buffer rest(Buffer buffer) {
        if (buffer instanceof ByteBuffer) {
            ByteBuffer bytes = (ByteBuffer) buffer;
            return bytes.slice().order(bytes.order());
        }
        if (buffer instanceof FloatBuffer) {
            return ((FloatBuffer) buffer).slice();
        }
        if (buffer instanceof IntBuffer) {
            return ((IntBuffer) buffer).slice();
        }
        if (buffer instanceof LongBuffer) {
            return ((LongBuffer) buffer).slice();
        }
        if (buffer instanceof ShortBuffer) {
            return ((ShortBuffer) buffer).slice();
        }
        if (buffer instanceof DoubleBuffer) {
            return ((DoubleBuffer) buffer).slice();
        }
        throw new IllegalArgumentException("no tensor is held by a " + buffer.getClass().getName());
    }

    static ByteOrder order(Buffer buffer) {
        if (buffer instanceof ByteBuffer) {
            return ((ByteBuffer) buffer).order();
        }
        if (buffer instanceof FloatBuffer) {
            return ((FloatBuffer) buffer).order();
        }
        if (buffer instanceof IntBuffer) {
            return ((IntBuffer) buffer).order();
        }
        if (buffer instanceof LongBuffer) {
            return ((LongBuffer) buffer).order();
        }
        if (buffer instanceof ShortBuffer) {
            return ((ShortBuffer) buffer).order();
        }
        return ((DoubleBuffer) buffer).order();
    }
}
