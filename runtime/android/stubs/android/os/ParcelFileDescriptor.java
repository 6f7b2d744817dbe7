package android.os;

/** See Context. */
public abstract class ParcelFileDescriptor {
    public abstract int getFd();
}
