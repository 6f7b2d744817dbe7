import COctavo

/// What is known of an input or output.
public struct OctavoTensorInfo: Sendable, Equatable {
    /// Its name in the model.
    public let name: String

    /// Type of its elements.
    public let dataType: OctavoDataType

    /// Elements along each axis; the last axis is contiguous.
    public let shape: [Int]

    /// Bytes of all elements.
    public let byteCount: Int

    /// What real numbers the integers stand for; nil where they stand for themselves.
    public let quantization: OctavoQuantization?

    /// Number of elements.
    public var count: Int { shape.reduce(1, *) }

    init(_ tensor: octavo_tensor) throws {
        name = String(cString: tensor.name)
        guard let type = OctavoDataType(rawValue: UInt32(tensor.dtype.rawValue)) else {
            throw OctavoError(.unknown, "\(name): a type that this version does not know")
        }
        dataType = type
        shape = (0..<Int(tensor.rank)).map { Int(tensor.shape[$0]) }
        byteCount = Int(tensor.num_bytes)
        quantization = tensor.is_quantized
            ? OctavoQuantization(scale: tensor.scale, zeroPoint: Int(tensor.zero_point))
            : nil
    }
}

/// A real number is (integer - zeroPoint) * scale.
public struct OctavoQuantization: Sendable, Equatable {
    /// Real value of one step.
    public let scale: Float

    /// The integer that stands for 0.
    public let zeroPoint: Int
}
