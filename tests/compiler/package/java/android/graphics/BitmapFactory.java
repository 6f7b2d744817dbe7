package android.graphics;

import java.io.InputStream;

public abstract class BitmapFactory {
    public static Bitmap decodeStream(InputStream stream) {
        return null;
    }
}
