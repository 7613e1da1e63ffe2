import java.io.File

/** Prints the vector of each line of standard input, a line each: numbers with spaces between. */
fun main(arguments: Array<String>) {
    val (model, words) = arguments
    val embedder = OnnxEmbedder(File(model).readBytes(), File(words).readLines())
    for (text in generateSequence(::readlnOrNull)) println(embedder.embed(text).joinToString(" "))
}
