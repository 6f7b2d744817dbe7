import SwiftUI

/// What `checkModels` says, on the screen of an app.
public struct ModelCheckView: View {
    @State private var lines = ["checking"]

    public init() {}

    public var body: some View {
        List(lines, id: \.self) { line in
            Text(line)
        }
        .task {
            lines = await ModelCheckView.check()
        }
    }

    private static func check() async -> [String] {
        await Task.detached { () -> [String] in
            do {
                return try checkModels().map(\.description)
            } catch {
                return ["\(error)"]
            }
        }.value
    }
}
