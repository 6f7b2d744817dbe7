package octavo.sample;

import android.app.Activity;
import android.graphics.Bitmap;
import android.graphics.BitmapFactory;
import android.os.Bundle;
import android.widget.ImageView;
import android.widget.LinearLayout;
import android.widget.TextView;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.util.ArrayList;
import java.util.List;
import octavo.runtime.OctavoException;
import octavo.runtime.OctavoModel;
import octavo.runtime.OctavoOptions;

/** Classifies the picture among the app's assets, and shows what the model says of it. */
public final class MainActivity extends Activity {
    private static final String MODEL = "@MODEL@";
    private static final int NUM_THREADS = 4;
    private static final int NUM_RESULTS = 5;

    private TextView text;

    @Override
    protected void onCreate(Bundle state) {
        super.onCreate(state);
        Bitmap picture;
        try (InputStream stream = getAssets().open("@PICTURE@")) {
            picture = BitmapFactory.decodeStream(stream);
        } catch (IOException error) {
            throw new IllegalStateException("the app has no picture", error);
        }
        text = new TextView(this);
        ImageView image = new ImageView(this);
        image.setImageBitmap(picture);
        LinearLayout column = new LinearLayout(this);
        column.setOrientation(LinearLayout.VERTICAL);
        column.addView(text);
        column.addView(image);
        setContentView(column);
        // A model is loaded and run away from the thread that draws.
        new Thread(() -> show(classify(picture))).start();
    }

    private String classify(Bitmap picture) {
        OctavoOptions options = new OctavoOptions().threads(NUM_THREADS);
        try (OctavoModel model = OctavoModel.load(this, MODEL, options)) {
            PictureClassifier classifier = new PictureClassifier(model, labels());
            int width = classifier.width();
            int height = classifier.height();
            int[] pixels = new int[width * height];
            Bitmap scaled = Bitmap.createScaledBitmap(picture, width, height, true);
            scaled.getPixels(pixels, 0, width, 0, 0, width, height);
            List<String> results = classifier.classify(pixels, NUM_RESULTS);
            double milliseconds = model.usage().lastRunNanos() / 1e6;
            return String.join("\n", results) + "\n" + milliseconds + " ms";
        } catch (OctavoException | IllegalArgumentException error) {
            return error.getMessage();
        }
    }

    private void show(String result) {
        runOnUiThread(() -> text.setText(result));
    }

    /** Names of classes, where the app has them. */
    private List<String> labels() {
        List<String> labels = new ArrayList<>();
        try (InputStream stream = getAssets().open("labels.txt");
                BufferedReader lines = new BufferedReader(new InputStreamReader(stream, "UTF-8"))) {
            for (String line; (line = lines.readLine()) != null; ) {
                labels.add(line);
            }
        } catch (IOException none) {
            return labels;
        }
        return labels;
    }
}
