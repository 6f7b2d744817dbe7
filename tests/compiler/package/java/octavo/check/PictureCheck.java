package octavo.check;

import java.util.Collections;
import java.util.List;
import octavo.runtime.OctavoModel;
import octavo.sample.PictureClassifier;

/** Runs the sample app's classifier: the picture is a row of grey levels, as arguments. */
public final class PictureCheck {
    private PictureCheck() {}

    public static void main(String[] arguments) {
        try (OctavoModel model = OctavoModel.load(arguments[0], "digits", null)) {
            PictureClassifier classifier =
                    new PictureClassifier(model, Collections.singletonList("zero"));
            int[] pixels = new int[classifier.width() * classifier.height()];
            for (int i = 0; i < pixels.length; i++) {
                pixels[i] = 0xff000000 | 0x010101 * Integer.parseInt(arguments[1 + i]);
            }
            List<String> lines = classifier.classify(pixels, 3);
            System.out.println(String.join("\n", lines));
        }
        try (OctavoModel model = OctavoModel.load(arguments[arguments.length - 1], "tiny", null)) {
            new PictureClassifier(model, Collections.<String>emptyList());
        } catch (IllegalArgumentException error) {
            System.out.println(error.getMessage());
        }
    }
}
