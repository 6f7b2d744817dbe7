package octavo.sample;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import octavo.runtime.DataType;
import octavo.runtime.OctavoModel;
import octavo.runtime.TensorInfo;

/** Turns pixels into the input of a model, and its output into the most likely classes. */
public final class PictureClassifier {
    /** What the model was trained with: (value in 0..1 - MEAN) / DEVIATION, by colour. */
    private static final float[] MEAN = {0.485f, 0.456f, 0.406f};

    private static final float[] DEVIATION = {0.229f, 0.224f, 0.225f};

    private final OctavoModel model;
    private final List<String> labels;
    private final boolean colourFirst;
    private final int numColours;
    private final int height;
    private final int width;

    /**
     * @param model with one picture as its input, by rows and columns of 1 or 3 colours
     * @param labels of the classes; may have fewer than the model
     * @throws IllegalArgumentException if the input is no picture
     */
    public PictureClassifier(OctavoModel model, List<String> labels) {
        this.model = model;
        this.labels = labels;
        TensorInfo input = model.input(0);
        long[] shape = input.shape();
        boolean isPicture = model.numInputs() == 1 && shape.length == 4 && shape[0] == 1;
        colourFirst = isPicture && (shape[1] == 1 || shape[1] == 3);
        boolean colourLast = isPicture && !colourFirst && (shape[3] == 1 || shape[3] == 3);
        if (!colourFirst && !colourLast) {
            throw new IllegalArgumentException(input + " is not a picture");
        }
        numColours = (int) (colourFirst ? shape[1] : shape[3]);
        height = (int) (colourFirst ? shape[2] : shape[1]);
        width = (int) (colourFirst ? shape[3] : shape[2]);
    }

    /** Pixels of a row. */
    public int width() {
        return width;
    }

    /** Rows. */
    public int height() {
        return height;
    }

    /**
     * The most likely classes, each with its score.
     *
     * @param pixels row by row, as 0xAARRGGBB
     * @param count how many
     */
    public List<String> classify(int[] pixels, int count) {
        ByteBuffer input = model.input(0).allocate();
        for (int pixel = 0; pixel < width * height; pixel++) {
            for (int colour = 0; colour < numColours; colour++) {
                int shift = 16 - 8 * colour;
                float value = ((pixels[pixel] >> shift & 255) / 255f - MEAN[colour])
                        / DEVIATION[colour];
                int place = colourFirst
                        ? colour * width * height + pixel
                        : pixel * numColours + colour;
                put(model.input(0), input, place, value);
            }
        }
        ByteBuffer[] outputs = new ByteBuffer[model.numOutputs()];
        outputs[0] = model.output(0).allocate(); // the others are left out
        model.run(new ByteBuffer[] {input}, outputs);
        return best(outputs[0], count);
    }

    private List<String> best(ByteBuffer scores, int count) {
        TensorInfo output = model.output(0);
        int numClasses = (int) output.numElements();
        boolean[] isTaken = new boolean[numClasses];
        List<String> lines = new ArrayList<>();
        for (int n = 0; n < Math.min(count, numClasses); n++) {
            int best = -1;
            for (int i = 0; i < numClasses; i++) {
                if (!isTaken[i] && (best < 0 || get(output, scores, i) > get(output, scores, best))) {
                    best = i;
                }
            }
            isTaken[best] = true;
            String label = best < labels.size() ? labels.get(best) : "class " + best;
            lines.add(label + ": " + get(output, scores, best));
        }
        return lines;
    }

    private static void put(TensorInfo tensor, ByteBuffer buffer, int place, float value) {
        if (tensor.type() == DataType.FLOAT32) {
            buffer.putFloat(place * 4, value);
            return;
        }
        boolean isSigned = tensor.type() == DataType.INT8;
        if (!isSigned && tensor.type() != DataType.UINT8) {
            throw new IllegalArgumentException(tensor + ": no picture is of this type");
        }
        int low = isSigned ? -128 : 0;
        int number = Math.round(value / tensor.scale()) + tensor.zeroPoint();
        buffer.put(place, (byte) Math.max(low, Math.min(low + 255, number)));
    }

    private static float get(TensorInfo tensor, ByteBuffer buffer, int place) {
        if (tensor.type() == DataType.FLOAT32) {
            return buffer.getFloat(place * 4);
        }
        boolean isSigned = tensor.type() == DataType.INT8;
        if (!isSigned && tensor.type() != DataType.UINT8) {
            throw new IllegalArgumentException(tensor + ": scores are not of this type");
        }
        int number = isSigned ? buffer.get(place) : buffer.get(place) & 255;
        return (number - tensor.zeroPoint()) * tensor.scale();
    }
}
