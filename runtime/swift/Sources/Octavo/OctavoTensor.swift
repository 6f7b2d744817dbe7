/// Elements of an input or output, row after row.
public struct OctavoTensor: Sendable {
    /// The elements, in the byte order of the machine.
    public let bytes: [UInt8]

    // What the bytes may be: several where Swift has one type for them.
    private let dataTypes: [OctavoDataType]

    /// A tensor of numbers.
    public init<Element: OctavoElement>(_ values: [Element]) {
        bytes = values.withUnsafeBytes { [UInt8]($0) }
        dataTypes = Element.octavoDataTypes
    }

    /// A tensor of bytes, such as those of a file.
    public init(bytes: [UInt8], as dataType: OctavoDataType) {
        self.bytes = bytes
        dataTypes = [dataType]
    }

    /// The elements as numbers.
    ///
    /// - Throws: `OctavoError` if they are of another type.
    public func values<Element: OctavoElement>(as type: Element.Type) throws -> [Element] {
        guard let own = dataTypes.first(where: { Element.octavoDataTypes.contains($0) }) else {
            throw OctavoError(
                .invalidArgument, "\(Element.self) asked for, the tensor has \(dataTypes)")
        }
        let count = bytes.count / own.byteCount
        return [Element](unsafeUninitializedCapacity: count) { buffer, initializedCount in
            UnsafeMutableRawBufferPointer(buffer).copyBytes(
                from: bytes.prefix(count * own.byteCount))
            initializedCount = count
        }
    }

    /// Refuses a tensor that is not what an input takes.
    func check(fits info: OctavoTensorInfo) throws {
        guard dataTypes.contains(info.dataType) else {
            throw OctavoError(
                .invalidArgument, "\(info.name): \(info.dataType) wanted, not \(dataTypes)")
        }
        guard bytes.count == info.byteCount else {
            throw OctavoError(
                .invalidArgument,
                "\(info.name): \(info.byteCount) bytes wanted, not \(bytes.count)")
        }
    }
}
