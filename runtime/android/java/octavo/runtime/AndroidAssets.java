package octavo.runtime;

import android.content.Context;
import android.content.res.AssetFileDescriptor;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** Weights among an app's assets; apart from OctavoModel, which also runs where Android is not. */
final class AndroidAssets {
    static final int PART_BYTES = 1 << 16;

    private AndroidAssets() {}

    /** Maps the asset where it is in the package; reads it where it was compressed. */
    static OctavoModel load(Context context, int model, OctavoOptions options) {
        String asset = Native.text(Native.assetName(model));
        if (options.cacheFolder() == null) {
            options = options.withCacheFolder(context.getCodeCacheDir().getPath());
        }
        int[] status = new int[1];
        long handle;
        ByteBuffer memory = null;
        try {
            try (AssetFileDescriptor descriptor = context.getAssets().openFd(asset)) {
                handle = Native.loadDescriptor(
                        model,
                        descriptor.getParcelFileDescriptor().getFd(),
                        descriptor.getStartOffset(),
                        descriptor.getLength(),
                        status);
            } catch (FileNotFoundException compressedOrMissing) {
                memory = read(context, asset, Native.weightsBytes(model));
                handle = Native.loadMemory(model, memory, status);
            }
        } catch (IOException error) {
            throw new OctavoException(
                    OctavoException.Status.FILE_ERROR,
                    "asset " + asset + ": " + error.getMessage(),
                    error);
        }
        return OctavoModel.prepare(model, handle, status[0], "asset " + asset, options, memory);
    }

    private static ByteBuffer read(Context context, String asset, long numBytes)
            throws IOException {
        if (numBytes > Integer.MAX_VALUE - PART_BYTES) {
            throw new IOException("too large to be read; store it uncompressed");
        }
        ByteBuffer buffer = ByteBuffer.allocateDirect((int) numBytes + PART_BYTES);
        int start = Native.misalignment(buffer);
        buffer.position(start);
        byte[] part = new byte[PART_BYTES];
        try (InputStream stream = context.getAssets().open(asset)) {
            for (int count; (count = stream.read(part)) >= 0; ) {
                if (buffer.position() - start + count > numBytes) {
                    throw new IOException("longer than the model's weights");
                }
                buffer.put(part, 0, count);
            }
        }
        if (buffer.position() - start != numBytes) {
            throw new IOException("shorter than the model's weights");
        }
        buffer.position(start);
        return buffer.slice().order(ByteOrder.nativeOrder());
    }
}
