package android.graphics;

public abstract class Bitmap {
    public static Bitmap createScaledBitmap(Bitmap source, int width, int height, boolean filter) {
        return source;
    }

    public abstract void getPixels(
            int[] pixels, int offset, int stride, int x, int y, int width, int height);
}
