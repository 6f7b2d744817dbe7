package octavo.check;

import java.io.File;
import java.nio.Buffer;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.Arrays;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import octavo.runtime.DataType;
import octavo.runtime.OctavoException;
import octavo.runtime.OctavoModel;
import octavo.runtime.OctavoOptions;

/** Each check is started by its name; it prints what it saw, and throws what it did not expect. */
public final class Checks {
    private static final int NUM_THREADS = 8;
    private static final int RUNS = 200;
    private static final int CLOSINGS = 50;
    private static final int CYCLES = 10_000;
    private static final int WARM_CYCLES = 2_000;

    private Checks() {}

    public static void main(String[] arguments) throws Throwable {
        String weights = arguments[1];
        switch (arguments[0]) {
            case "run": run(OctavoModel.load(weights, "tiny", null), arguments[2], arguments[3]); break;
            case "assets": assets(arguments); break;
            case "names": System.out.println(String.join(" ", OctavoModel.names())); break;
            case "misuse": misuse(weights, arguments[2]); break;
            case "threads": threads(weights, arguments[2], arguments[3]); break;
            case "cancel": cancel(weights); break;
            case "close": closeWhileRunning(weights); break;
            case "cycles": cycles(weights); break;
            default: throw new IllegalArgumentException(arguments[0]);
        }
    }

    private static void run(OctavoModel model, String in, String out) throws Exception {
        try (OctavoModel open = model) {
            byte[] result = infer(open, Files.readAllBytes(Paths.get(in)));
            Files.write(Paths.get(out), result);
            System.out.println(
                    open.input(0) + "; mapped " + open.usage().weightsMappedBytes() + ", copied "
                            + open.usage().weightsCopiedBytes() + ", threads "
                            + open.usage().numThreads());
            if (open.usage().lastRunNanos() <= 0 || open.usage().arenaBytes() <= 0) {
                throw new AssertionError("usage");
            }
        }
    }

    /** Weights inside of a file that has something else before and behind them. */
    private static void assets(String[] arguments) throws Exception {
        String kind = arguments[4];
        long offset = Long.parseLong(arguments[5]);
        FakeContext context = new FakeContext(new File(arguments[1]), kind, offset);
        OctavoOptions options = new OctavoOptions().threads(2).cpus(OctavoOptions.Cpus.BIG);
        OctavoModel model = OctavoModel.load(context, "tiny", options);
        if (context.numOpen() != 0) {
            throw new AssertionError("descriptors are open");
        }
        run(model, arguments[2], arguments[3]);
    }

    private static byte[] infer(OctavoModel model, byte[] in) {
        ByteBuffer input = model.input(0).allocate();
        input.put(in).rewind();
        ByteBuffer[] outputs = new ByteBuffer[model.numOutputs()];
        int numBytes = 0;
        for (int i = 0; i < outputs.length; i++) {
            outputs[i] = model.output(i).allocate();
            numBytes += outputs[i].capacity();
        }
        model.run(new Buffer[] {input}, outputs);
        if (input.position() != 0 || outputs[0].position() != 0) {
            throw new AssertionError("positions moved");
        }
        ByteBuffer all = ByteBuffer.allocate(numBytes);
        for (ByteBuffer output : outputs) {
            all.put(output);
        }
        return all.array();
    }

    private interface Action {
        void run() throws Exception;
    }

    private static void expect(Class<?> kind, String part, Action action) {
        try {
            action.run();
        } catch (Throwable error) {
            if (error.getClass() != kind || !String.valueOf(error.getMessage()).contains(part)) {
                throw new AssertionError("not a " + kind.getSimpleName() + " of " + part, error);
            }
            System.out.println(kind.getSimpleName() + ": " + error.getMessage());
            return;
        }
        throw new AssertionError("no " + kind.getSimpleName() + " of " + part);
    }

    private static void misuse(String weights, String otherFile) throws Exception {
        Class<?> argument = IllegalArgumentException.class;
        Class<?> state = IllegalStateException.class;
        Class<?> octavo = OctavoException.class;
        expect(octavo, "file", () -> OctavoModel.load("/nowhere/weights.bin", "tiny", null));
        expect(octavo, "not the size", () -> OctavoModel.load(otherFile, "tiny", null));
        expect(octavo, "file", () -> OctavoModel.load("/", "tiny", null));
        expect(argument, "must be named", () -> OctavoModel.load(weights));
        expect(argument, "no model \"none\"", () -> OctavoModel.load(weights, "none", null));
        expect(argument, "path is null", () -> OctavoModel.load((String) null, "tiny", null));
        expect(argument, "zero characters", () -> OctavoModel.load("a\0b", "tiny", null));
        expect(argument, "0 threads", () -> new OctavoOptions().threads(0));
        expect(argument, "257 threads", () -> new OctavoOptions().threads(257));
        expect(argument, "cpus is null", () -> new OctavoOptions().cpus(null));
        OctavoModel model = OctavoModel.load(weights, "tiny", new OctavoOptions().threads(2));
        ByteBuffer in = model.input(0).allocate();
        ByteBuffer y = model.output(0).allocate();
        Buffer[] out = {y, null};
        expect(argument, "0 buffers for 1 inputs", () -> model.run(new Buffer[0], out));
        expect(argument, "no buffers", () -> model.run(null, out));
        expect(argument, "buffer is null", () -> model.run(new Buffer[1], out));
        expect(argument, "1 buffers for 2 outputs", () -> model.run(in, y));
        int size = in.capacity();
        expect(argument, size - 1 + " bytes remain", () ->
                model.run(new Buffer[] {ByteBuffer.allocateDirect(size - 1)}, out));
        expect(argument, size - 4 + " bytes remain", () -> {
            ByteBuffer moved = in.duplicate();
            moved.position(4);
            model.run(new Buffer[] {moved}, out);
        });
        expect(argument, "not direct", () ->
                model.run(new Buffer[] {ByteBuffer.allocate(size)}, out));
        expect(argument, ": a ByteBuffer is needed, not a FloatBuffer", () ->
                model.run(new Buffer[] {wide(size).asFloatBuffer()}, out));
        expect(argument, "read-only", () ->
                model.run(new Buffer[] {in}, new Buffer[] {y.asReadOnlyBuffer(), null}));
        expect(argument, "CharBuffer", () ->
                model.run(new Buffer[] {java.nio.CharBuffer.allocate(size)}, out));
        expect(IndexOutOfBoundsException.class, "input 1 of", () -> model.input(1));
        expect(IndexOutOfBoundsException.class, "output -1 of", () -> model.output(-1));
        model.run(new Buffer[] {in.asReadOnlyBuffer()}, out); // one may read what is read-only
        model.reset();
        if (model.cancel()) {
            throw new AssertionError("there was a run to cancel");
        }
        if (model.input(0).type() != DataType.INT8 || model.input(0).numElements() != size) {
            throw new AssertionError(model.input(0).toString());
        }
        model.close();
        model.close();
        expect(state, "tiny is closed", () -> model.run(new Buffer[] {in}, out));
        expect(state, "tiny is closed", model::cancel);
        expect(state, "tiny is closed", model::usage);
        expect(state, "tiny is closed", model::reset);
    }

    private static ByteBuffer wide(int size) {
        return ByteBuffer.allocateDirect(4 * size).order(ByteOrder.nativeOrder());
    }

    private static void inParallel(Action action) throws Throwable {
        AtomicReference<Throwable> failure = new AtomicReference<>();
        Thread[] threads = new Thread[NUM_THREADS];
        for (int i = 0; i < NUM_THREADS; i++) {
            threads[i] = new Thread(() -> {
                try {
                    action.run();
                } catch (Throwable error) {
                    failure.set(error);
                }
            });
            threads[i].start();
        }
        for (Thread thread : threads) {
            thread.join();
        }
        if (failure.get() != null) {
            throw failure.get();
        }
    }

    /** One model that eight threads share, and a model for each of them. */
    private static void threads(String weights, String in, String expected) throws Throwable {
        byte[] input = Files.readAllBytes(Paths.get(in));
        byte[] wanted = Files.readAllBytes(Paths.get(expected));
        AtomicInteger numRuns = new AtomicInteger();
        try (OctavoModel shared = OctavoModel.load(weights, "tiny", new OctavoOptions().threads(2))) {
            inParallel(() -> {
                try (OctavoModel own = OctavoModel.load(weights, "tiny", null)) {
                    for (int i = 0; i < RUNS; i++) {
                        for (OctavoModel model : Arrays.asList(shared, own)) {
                            if (!Arrays.equals(infer(model, input), wanted)) {
                                throw new AssertionError("other bytes");
                            }
                            numRuns.incrementAndGet();
                        }
                    }
                }
            });
        }
        System.out.println(numRuns);
    }

    /** As many runs are cancelled as cancel said. */
    private static void cancel(String weights) throws Throwable {
        AtomicInteger thrown = new AtomicInteger();
        AtomicInteger cancelled = new AtomicInteger();
        try (OctavoModel model = OctavoModel.load(weights, "tiny", null)) {
            Buffer[] in = {model.input(0).allocate()};
            Buffer[] out = {model.output(0).allocate(), null};
            AtomicInteger ended = new AtomicInteger();
            Thread runner = new Thread(() -> {
                while (ended.get() == 0) {
                    try {
                        model.run(in, out);
                    } catch (OctavoException error) {
                        if (error.status() != OctavoException.Status.CANCELLED) {
                            throw error;
                        }
                        thrown.incrementAndGet();
                    }
                }
            });
            runner.start();
            while (cancelled.get() < 3 && runner.isAlive()) {
                if (model.cancel()) {
                    cancelled.incrementAndGet();
                }
            }
            ended.set(1);
            runner.join();
            model.run(in, out); // it can be used afterwards
        }
        // A run that has ended its last step is cancelled all the same; two calls may meet one run.
        if (thrown.get() < 1 || thrown.get() > cancelled.get()) {
            throw new AssertionError(thrown + " of " + cancelled);
        }
        System.out.println("cancelled");
    }

    private static void closeWhileRunning(String weights) throws Throwable {
        for (int i = 0; i < CLOSINGS; i++) {
            OctavoModel model = OctavoModel.load(weights, "tiny", new OctavoOptions().threads(2));
            Buffer[] in = {model.input(0).allocate()};
            Buffer[] out = {model.output(0).allocate(), null};
            AtomicInteger running = new AtomicInteger();
            Thread runner = new Thread(() -> {
                try {
                    while (true) {
                        model.run(in, out);
                        running.set(1);
                    }
                } catch (IllegalStateException closed) {
                    running.set(2);
                }
            });
            runner.start();
            while (running.get() == 0) {
                Thread.yield();
            }
            model.close();
            runner.join();
            if (running.get() != 2) {
                throw new AssertionError("the run did not say that the model is closed");
            }
        }
        System.out.println("closed");
    }

    private static void cycles(String weights) throws Exception {
        for (int i = 0; i < WARM_CYCLES; i++) {
            OctavoModel.load(weights, "tiny", new OctavoOptions().threads(2)).close();
        }
        System.gc();
        long before = kibibytes();
        int files = numFiles();
        for (int i = 0; i < CYCLES; i++) {
            OctavoModel.load(weights, "tiny", new OctavoOptions().threads(2)).close();
        }
        System.gc();
        System.out.println(
                CYCLES + " cycles: " + (kibibytes() - before) + " KiB, "
                        + (numFiles() - files) + " files");
    }

    private static long kibibytes() throws Exception {
        for (String line : Files.readAllLines(Paths.get("/proc/self/status"))) {
            if (line.startsWith("VmRSS:")) {
                return Long.parseLong(line.replaceAll("[^0-9]", ""));
            }
        }
        throw new AssertionError("no VmRSS");
    }

    private static int numFiles() {
        return new File("/proc/self/fd").list().length;
    }
}
