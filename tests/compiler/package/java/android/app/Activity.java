package android.app;

import android.content.Context;
import android.content.res.AssetManager;
import android.os.Bundle;
import android.view.View;
import java.io.File;

public abstract class Activity extends Context {
    protected void onCreate(Bundle state) {}

    @Override
    public AssetManager getAssets() {
        return null;
    }

    @Override
    public File getCodeCacheDir() {
        return null;
    }

    public void setContentView(View view) {}

    public final void runOnUiThread(Runnable action) {}
}
