// Product > Test in Xcode for a simulator, or `swift test` on a Mac. A phone runs tests inside of
// an app: add the product OctavoCheck to yours, and call `checkModels` there.
import Foundation
import Octavo
import OctavoCheck
import XCTest

final class OctavoTests: XCTestCase {
    func testEveryModelGivesTheBytesOfItsSample() throws {
        let checks = try checkModels()
        XCTAssertEqual(checks.map(\.model), OctavoModel.names)
        for check in checks {
            XCTAssertEqual(check.differences, [], check.model)
        }
    }

    func testOneModelServesManyThreads() throws {
        let model = try OctavoModel(named: OctavoModel.names[0])
        let inputs = model.inputs.map { info in
            OctavoTensor(
                bytes: [UInt8](repeating: 0, count: info.byteCount), as: info.dataType)
        }
        let expected = try model.run(inputs).map(\.bytes)
        DispatchQueue.concurrentPerform(iterations: 8) { _ in
            for _ in 0..<10 {
                XCTAssertEqual(try? model.run(inputs).map(\.bytes), expected)
            }
        }
    }

    func testMistakesAreErrors() throws {
        let model = try OctavoModel(named: OctavoModel.names[0])
        assertError(.invalidArgument, try model.run([]))
        let short = model.inputs.map { OctavoTensor(bytes: [], as: $0.dataType) }
        assertError(.invalidArgument, try model.run(short))
        assertError(.invalidArgument, try OctavoModel(named: "no such model"))
        let missing = URL(fileURLWithPath: "/no/such/file")
        assertError(.fileError, try OctavoModel(contentsOf: missing, named: model.name))
        XCTAssertFalse(model.cancel())
        model.close()
        assertError(.closed, try model.usage())
        assertError(.closed, try model.reset())
    }

    private func assertError<Result>(
        _ status: OctavoError.Status, _ body: @autoclosure () throws -> Result,
        line: UInt = #line
    ) {
        XCTAssertThrowsError(try body(), line: line) { error in
            XCTAssertEqual((error as? OctavoError)?.status, status, "\(error)", line: line)
        }
    }
}
