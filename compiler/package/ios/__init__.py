"""Packages for Apple's systems: an XCFramework of libraries, and a Swift package around it."""
