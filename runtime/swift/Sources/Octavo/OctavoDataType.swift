/// Type of a tensor's elements. The numbers are those of the runtime.
public enum OctavoDataType: UInt32, Sendable, CaseIterable {
    case float32 = 0
    case float64 = 1
    case float16 = 2
    case bfloat16 = 3
    case bool = 4
    case int8 = 5
    case int16 = 6
    case int32 = 7
    case int64 = 8
    case uint8 = 9
    case uint16 = 10
    case uint32 = 11
    case uint64 = 12

    /// Bytes of an element.
    public var byteCount: Int {
        switch self {
        case .bool, .int8, .uint8: return 1
        case .float16, .bfloat16, .int16, .uint16: return 2
        case .float32, .int32, .uint32: return 4
        case .float64, .int64, .uint64: return 8
        }
    }
}

/// What arrays of tensors can have as elements: the types below, and no others.
public protocol OctavoElement: Sendable {
    /// What an element may be in a tensor. Halves of a float are their bits, as `UInt16`; truth
    /// values are `UInt8`, 0 or 1.
    static var octavoDataTypes: [OctavoDataType] { get }
}

extension Float: OctavoElement {
    public static var octavoDataTypes: [OctavoDataType] { [.float32] }
}

extension Double: OctavoElement {
    public static var octavoDataTypes: [OctavoDataType] { [.float64] }
}

extension Int8: OctavoElement {
    public static var octavoDataTypes: [OctavoDataType] { [.int8] }
}

extension Int16: OctavoElement {
    public static var octavoDataTypes: [OctavoDataType] { [.int16] }
}

extension Int32: OctavoElement {
    public static var octavoDataTypes: [OctavoDataType] { [.int32] }
}

extension Int64: OctavoElement {
    public static var octavoDataTypes: [OctavoDataType] { [.int64] }
}

extension UInt8: OctavoElement {
    public static var octavoDataTypes: [OctavoDataType] { [.uint8, .bool] }
}

extension UInt16: OctavoElement {
    public static var octavoDataTypes: [OctavoDataType] { [.uint16, .float16, .bfloat16] }
}

extension UInt32: OctavoElement {
    public static var octavoDataTypes: [OctavoDataType] { [.uint32] }
}

extension UInt64: OctavoElement {
    public static var octavoDataTypes: [OctavoDataType] { [.uint64] }
}
