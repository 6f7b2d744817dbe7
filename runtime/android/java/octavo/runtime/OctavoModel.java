package octavo.runtime;

import android.content.Context;
import java.io.Closeable;
import java.nio.Buffer;
import java.nio.ByteBuffer;
import java.util.Arrays;

/**
 * A compiled model that is ready to run.
 *
 * <pre>{@code
 * try (OctavoModel model = OctavoModel.load(context)) {
 *     ByteBuffer input = model.input(0).allocate();
 *     ByteBuffer output = model.output(0).allocate();
 *     // ... fill the input
 *     model.run(input, output);
 * }
 * }</pre>
 *
 * Every method may be called from any thread. Runs of one model wait for each other; load it twice
 * to run it twice at once: weights that are mapped are in memory once.
 */
public final class OctavoModel implements Closeable {
    private final String name;
    private final TensorInfo[] inputs;
    private final TensorInfo[] outputs;
    private final ByteBuffer memory; // weights that were read, to be kept until close; or null
    private final Object running = new Object(); // held by whatever waits for a run to end
    private final Object opening = new Object(); // guards handle; taken after `running`
    private long handle; // 0: closed

    private OctavoModel(
            String name, TensorInfo[] in, TensorInfo[] out, long handle, ByteBuffer memory) {
        this.name = name;
        this.inputs = in;
        this.outputs = out;
        this.handle = handle;
        this.memory = memory;
    }

    /**
     * Names of the models of this package.
     *
     * @throws OctavoException if it has no library for this machine
     */
    public static String[] names() {
        Native.check();
        String[] names = new String[Native.numModels()];
        for (int i = 0; i < names.length; i++) {
            names[i] = Native.text(Native.modelName(i));
        }
        return names;
    }

    /** Loads the only model of the package, with default options; see the other load. */
    public static OctavoModel load(Context context) {
        return load(context, null, new OctavoOptions());
    }

    /**
     * Loads a model whose weights are among the app's assets. They are mapped, not copied, where
     * they are neither compressed nor packed: {@link #usage} tells.
     *
     * @param context of the app or an activity; it is not kept
     * @param name one of {@link #names}; null for the only one
     * @param options null for the default
     * @throws IllegalArgumentException if the package has no such model, or several and name is null
     * @throws OctavoException if it cannot be loaded
     */
    public static OctavoModel load(Context context, String name, OctavoOptions options) {
        if (context == null) {
            throw new IllegalArgumentException("context is null");
        }
        return AndroidAssets.load(context, find(name), orDefault(options));
    }

    /** Loads the only model of the package with weights of a file; see the other load. */
    public static OctavoModel load(String path) {
        return load(path, null, new OctavoOptions());
    }

    /**
     * Loads a model whose weights are a file, such as the weights.bin of an artifact.
     *
     * @param path of the weights, which are mapped
     * @param name one of {@link #names}; null for the only one
     * @param options null for the default
     * @throws IllegalArgumentException if the package has no such model, or several and name is null
     * @throws OctavoException if it cannot be loaded: a missing file, weights of another model
     */
    public static OctavoModel load(String path, String name, OctavoOptions options) {
        if (path == null) {
            throw new IllegalArgumentException("path is null");
        }
        int model = find(name);
        int[] status = new int[1];
        long handle = Native.loadPath(model, Native.bytes(path), status);
        return prepare(model, handle, status[0], path, orDefault(options), null);
    }

    private static OctavoOptions orDefault(OctavoOptions options) {
        return options == null ? new OctavoOptions() : options;
    }

    private static int find(String name) {
        String[] names = names();
        int index = name == null && names.length == 1 ? 0 : Arrays.asList(names).indexOf(name);
        if (index < 0) {
            throw new IllegalArgumentException(
                    (name == null ? "a model must be named" : "no model \"" + name + "\"")
                            + "; there are: " + String.join(", ", names));
        }
        return index;
    }

    static OctavoModel prepare(
            int model,
            long handle,
            int loadStatus,
            String origin,
            OctavoOptions options,
            ByteBuffer memory) {
        if (handle == 0) {
            throw failure(loadStatus, origin, "");
        }
        int status = Native.prepare(
                handle, options.numThreads(), options.cpuBits(), Native.bytes(options.cacheFolder()));
        if (status == Native.OK) {
            String name = Native.text(Native.modelName(model));
            return new OctavoModel(
                    name, tensors(model, false), tensors(model, true), handle, memory);
        }
        String details = Native.text(Native.failure(handle));
        Native.destroy(handle);
        String missing = Native.text(Native.missingFeatures(model));
        throw failure(status, origin, missing.isEmpty() ? details : missing);
    }

    private static TensorInfo[] tensors(int model, boolean isOutput) {
        TensorInfo[] tensors = new TensorInfo[Native.numTensors(model, isOutput)];
        for (int i = 0; i < tensors.length; i++) {
            tensors[i] = new TensorInfo(
                    Native.text(Native.tensorName(model, isOutput, i)),
                    Native.tensorRecord(model, isOutput, i));
        }
        return tensors;
    }

    private static OctavoException failure(int status, String origin, String details) {
        String message = origin + ": " + Native.text(Native.message(status));
        return new OctavoException(
                OctavoException.Status.of(status),
                details.isEmpty() ? message : message + ": " + details);
    }

    /** Its name. */
    public String name() {
        return name;
    }

    /** How many inputs it has. */
    public int numInputs() {
        return inputs.length;
    }

    /** How many outputs it has. */
    public int numOutputs() {
        return outputs.length;
    }

    /**
     * An input.
     *
     * @throws IndexOutOfBoundsException if there is no such
     */
    public TensorInfo input(int index) {
        return at(inputs, index, "input");
    }

    /**
     * An output.
     *
     * @throws IndexOutOfBoundsException if there is no such
     */
    public TensorInfo output(int index) {
        return at(outputs, index, "output");
    }

    private static TensorInfo at(TensorInfo[] tensors, int index, String kind) {
        if (index < 0 || index >= tensors.length) {
            throw new IndexOutOfBoundsException(
                    kind + " " + index + " of a model that has " + tensors.length);
        }
        return tensors[index];
    }

    /** {@link #run(Buffer[], Buffer[])} of a model with one input and one output. */
    public void run(Buffer input, Buffer output) {
        run(new Buffer[] {input}, new Buffer[] {output});
    }

    /**
     * One inference.
     *
     * @param in a buffer per input: direct, of the type's own kind or a ByteBuffer, of the
     *     machine's byte order; what remains of it is the tensor. Positions stay as they are.
     * @param out the same per output; null leaves an output out
     * @throws IllegalArgumentException if a buffer is missing, or of another size, type or order
     * @throws IllegalStateException if the model is closed
     * @throws OctavoException if the run fails or is cancelled; the model can be used afterwards
     */
    public void run(Buffer[] in, Buffer[] out) {
        Buffer[] from = views(in, inputs, false);
        Buffer[] to = views(out, outputs, true);
        synchronized (running) {
            long open = open();
            int status = Native.run(open, from, to);
            if (status != Native.OK) {
                throw failure(status, name, Native.text(Native.failure(open)));
            }
        }
    }

    private static Buffer[] views(Buffer[] buffers, TensorInfo[] tensors, boolean isOutput) {
        String kind = isOutput ? "outputs" : "inputs";
        if (buffers == null || buffers.length != tensors.length) {
            throw new IllegalArgumentException(
                    (buffers == null ? "no" : "" + buffers.length) + " buffers for "
                            + tensors.length + " " + kind);
        }
        Buffer[] views = new Buffer[tensors.length];
        for (int i = 0; i < tensors.length; i++) {
            Buffer buffer = buffers[i]; // read once: another thread may change the array
            if (buffer != null) {
                views[i] = tensors[i].view(buffer, isOutput);
            } else if (!isOutput) {
                throw new IllegalArgumentException(tensors[i] + ": the buffer is null");
            }
        }
        return views;
    }

    /**
     * Ends the run that is in progress before its next step; it throws an OctavoException with
     * CANCELLED. State that outlives a run is then that of half of one: see {@link #reset}.
     *
     * @return whether there was a run
     * @throws IllegalStateException if the model is closed
     */
    public boolean cancel() {
        synchronized (opening) {
            return Native.cancel(open());
        }
    }

    /**
     * Forgets what outlives a run, such as the state of a recurrent network.
     *
     * @throws IllegalStateException if the model is closed
     */
    public void reset() {
        synchronized (running) {
            int status = Native.reset(open());
            if (status != Native.OK) {
                throw failure(status, name, "");
            }
        }
    }

    /**
     * What the model takes, and how long the last run took.
     *
     * @throws IllegalStateException if the model is closed
     */
    public OctavoUsage usage() {
        synchronized (opening) {
            long[] numbers = new long[OctavoUsage.NUM_NUMBERS];
            int status = Native.usage(open(), numbers);
            if (status != Native.OK) {
                throw failure(status, name, "");
            }
            return new OctavoUsage(numbers);
        }
    }

    private long open() {
        synchronized (opening) {
            if (handle == 0) {
                throw new IllegalStateException("model " + name + " is closed");
            }
            return handle;
        }
    }

    /** Waits for a run to end, then frees everything. A closed model stays closed. */
    @Override
    public void close() {
        synchronized (running) {
            long last;
            synchronized (opening) {
                last = handle;
                handle = 0;
            }
            if (last != 0) {
                Native.destroy(last);
            }
        }
    }
}
