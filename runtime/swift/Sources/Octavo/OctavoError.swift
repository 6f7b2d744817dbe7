import COctavo
import Foundation

/// Why something failed.
public struct OctavoError: LocalizedError, CustomStringConvertible, Equatable, Sendable {
    /// Kinds of failures. The numbers from 1 on are those of the runtime.
    public enum Status: Int, Sendable, CaseIterable {
        /// A failure that this version does not know.
        case unknown = -2
        /// The model was closed.
        case closed = -1
        /// A model, tensor or option that there is not.
        case invalidArgument = 1
        case outOfMemory = 2
        /// The weights cannot be opened or mapped.
        case fileError = 3
        /// The weights are those of another model.
        case wrongSize = 4
        /// Library and model are of different versions.
        case wrongABI = 5
        /// The processor lacks instructions that the model was compiled for.
        case unsupportedCPU = 6
        /// The system refused to start a thread.
        case threadError = 7
        case notPrepared = 8
        /// A layer was given what it cannot compute, such as an index out of bounds.
        case kernelFailed = 9
        case tilesRefused = 10
        case noAccelerator = 11
        case acceleratorFailed = 12
        /// `cancel` ended the run.
        case cancelled = 13
        case busy = 14
    }

    /// The kind of failure.
    public let status: Status

    /// One line for a person.
    public let message: String

    public var errorDescription: String? { message }

    public var description: String { message }

    init(_ status: Status, _ message: String) {
        self.status = status
        self.message = message
    }

    /// A failure of the runtime, in its words.
    init(_ status: octavo_status, at place: String, details: String = "") {
        self.status = Status(rawValue: Int(status.rawValue)) ?? .unknown
        let text = "\(place): \(String(cString: octavo_status_message(status)))"
        message = details.isEmpty ? text : "\(text): \(details)"
    }
}
