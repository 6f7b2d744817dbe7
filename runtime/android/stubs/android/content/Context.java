package android.content;

import android.content.res.AssetManager;
import java.io.File;

/** What classes of this package call of Android's, to compile them where Android is not. */
public abstract class Context {
    public abstract AssetManager getAssets();

    public abstract File getCodeCacheDir();
}
