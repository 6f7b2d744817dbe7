package octavo.check

import java.io.File
import java.nio.ByteBuffer
import octavo.runtime.OctavoException
import octavo.runtime.OctavoModel
import octavo.runtime.OctavoOptions

private lateinit var inputBytes: ByteArray
private val outputBytes = mutableListOf<Byte>()

/** What the snippets of documents leave to the app: the data. */
fun fill(input: ByteBuffer) {
    input.put(inputBytes).rewind()
}

fun keep(output: ByteBuffer) {
    while (output.hasRemaining()) outputBytes.add(output.get())
}

/** WEIGHTS INPUT OUTPUT SNIPPET MODEL */
fun main(arguments: Array<String>) {
    val (weights, input, output, snippet, name) = arguments
    inputBytes = File(input).readBytes()
    SNIPPETS.getValue(snippet)(FakeContext(File(weights), "stored", 0))
    File(output).writeBytes(outputBytes.toByteArray())
    misuse(weights, name)
}

/** Names, nulls and exceptions as Kotlin sees them. */
private fun misuse(weights: String, name: String) {
    val options = OctavoOptions().cpus(OctavoOptions.Cpus.BIG).cacheFolder(null)
    val model = OctavoModel.load(weights, name, options)
    model.use {
        val inputs = Array(it.numInputs()) { i -> it.input(i).allocate() }
        val outputs = arrayOfNulls<ByteBuffer>(it.numOutputs())
        it.run(inputs, outputs)
        println("${it.input(0)}: ${it.usage().numThreads()} threads, cancelled: ${it.cancel()}")
    }
    for (action in listOf({ model.usage() }, { OctavoModel.load("/nowhere", name, null) })) {
        try {
            action()
        } catch (error: IllegalStateException) {
            println(error.message)
        } catch (error: OctavoException) {
            println("${error.status()}: ${error.message}")
        }
    }
}
