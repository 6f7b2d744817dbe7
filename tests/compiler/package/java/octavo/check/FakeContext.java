package octavo.check;

import android.content.Context;
import android.content.res.AssetFileDescriptor;
import android.content.res.AssetManager;
import android.os.ParcelFileDescriptor;
import java.io.File;
import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.lang.reflect.Field;

/** An app whose one asset is a part of a file, or is compressed, or is missing. */
final class FakeContext extends Context {
    private final File file;
    private final String kind;
    private final long offset;
    private int numOpen;

    FakeContext(File file, String kind, long offset) {
        this.file = file;
        this.kind = kind;
        this.offset = offset;
    }

    int numOpen() {
        return numOpen;
    }

    @Override
    public File getCodeCacheDir() {
        return file.getParentFile();
    }

    @Override
    public AssetManager getAssets() {
        return new AssetManager() {
            @Override
            public AssetFileDescriptor openFd(String name) throws IOException {
                if (!kind.equals("stored")) {
                    throw new FileNotFoundException(name + ": it is probably compressed");
                }
                return descriptor();
            }

            @Override
            public InputStream open(String name) throws IOException {
                if (kind.equals("missing")) {
                    throw new FileNotFoundException(name);
                }
                FileInputStream stream = new FileInputStream(file);
                stream.skip(offset);
                return stream;
            }
        };
    }

    private AssetFileDescriptor descriptor() throws IOException {
        FileInputStream stream = new FileInputStream(file);
        numOpen++;
        return new AssetFileDescriptor() {
            @Override
            public ParcelFileDescriptor getParcelFileDescriptor() {
                return new ParcelFileDescriptor() {
                    @Override
                    public int getFd() {
                        return number(stream);
                    }
                };
            }

            @Override
            public long getStartOffset() {
                return offset;
            }

            @Override
            public long getLength() {
                return file.length() - offset;
            }

            @Override
            public void close() throws IOException {
                numOpen--;
                stream.close();
            }
        };
    }

    private static int number(FileInputStream stream) {
        try {
            Field field = FileDescriptor.class.getDeclaredField("fd");
            field.setAccessible(true);
            return field.getInt(stream.getFD());
        } catch (ReflectiveOperationException | IOException error) {
            throw new IllegalStateException(error);
        }
    }
}
