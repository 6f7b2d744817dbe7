package octavo.runtime;

import java.nio.Buffer;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** An input or output of a model: row-major, without padding. */
public final class TensorInfo {
    private static final int SHAPE = 5; // where it begins in Native.tensorRecord

    private final String name;
    private final DataType type;
    private final long[] shape;
    private final long numBytes;
    private final boolean isQuantized;
    private final float scale;
    private final int zeroPoint;

    TensorInfo(String name, long[] record) {
        this.name = name;
        this.type = DataType.of(record[0]);
        this.numBytes = record[1];
        this.isQuantized = record[2] != 0;
        this.scale = Float.intBitsToFloat((int) record[3]);
        this.zeroPoint = (int) record[4];
        this.shape = java.util.Arrays.copyOfRange(record, SHAPE, record.length);
    }

    /** Its name in the model. */
    public String name() {
        return name;
    }

    /** The type of its elements. */
    public DataType type() {
        return type;
    }

    /** Its extents; empty for a single number. */
    public long[] shape() {
        return shape.clone();
    }

    /** Its size. */
    public long numBytes() {
        return numBytes;
    }

    /** How many elements it has. */
    public long numElements() {
        return numBytes / type.numBytes();
    }

    /** Whether elements stand for (element - zeroPoint) * scale. */
    public boolean isQuantized() {
        return isQuantized;
    }

    /** See {@link #isQuantized}; 1 where it is not. */
    public float scale() {
        return scale;
    }

    /** See {@link #isQuantized}; 0 where it is not. */
    public int zeroPoint() {
        return zeroPoint;
    }

    /** A new buffer that holds it, of the machine's byte order. */
    public ByteBuffer allocate() {
        if (numBytes > Integer.MAX_VALUE) {
            throw new IllegalStateException(this + ": too large for a buffer of Java");
        }
        return ByteBuffer.allocateDirect((int) numBytes).order(ByteOrder.nativeOrder());
    }

    /** What a run reads or writes of a buffer: its own view, which nobody else can move. */
    Buffer view(Buffer buffer, boolean isOutput) {
        Buffer rest = DataType.rest(buffer);
        if (!(rest instanceof ByteBuffer) && !type.bufferClass().isInstance(rest)) {
            String own = type.bufferClass().getSimpleName();
            String allowed = own.equals("ByteBuffer") ? own : own + " or a ByteBuffer";
            throw new IllegalArgumentException(
                    this + ": a " + allowed + " is needed, not a " + className(buffer));
        }
        if (!rest.isDirect()) {
            throw new IllegalArgumentException(
                    this + ": the buffer is not direct; TensorInfo.allocate makes one that is");
        }
        if (isOutput && rest.isReadOnly()) {
            throw new IllegalArgumentException(this + ": the buffer is read-only");
        }
        if (type.numBytes() > 1 && DataType.order(rest) != ByteOrder.nativeOrder()) {
            throw new IllegalArgumentException(
                    this + ": the buffer's byte order is not the machine's: ByteOrder.nativeOrder()");
        }
        long given = rest.remaining() * (long) (rest instanceof ByteBuffer ? 1 : type.numBytes());
        if (given != numBytes) {
            throw new IllegalArgumentException(
                    this + ": " + given + " bytes remain in the buffer, the tensor has " + numBytes);
        }
        return rest;
    }

    private static String className(Buffer buffer) {
        Class<?> known = buffer.getClass();
        while (known.getSuperclass() != null && known.getSuperclass() != Buffer.class) {
            known = known.getSuperclass();
        }
        return known.getSimpleName();
    }

    /** Name, type and shape. */
    @Override
    public String toString() {
        StringBuilder text = new StringBuilder(name).append(": ");
        text.append(type.name().toLowerCase(java.util.Locale.ROOT)).append(' ');
        for (int i = 0; i < shape.length; i++) {
            text.append(i == 0 ? "" : "x").append(shape[i]);
        }
        return text.append(shape.length == 0 ? "scalar" : "").toString();
    }
}
