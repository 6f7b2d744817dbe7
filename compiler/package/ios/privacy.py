"""PrivacyInfo.xcprivacy: what the runtime asks the system, and why.

Apple lists functions whose results could tell devices apart. Of these the runtime calls one,
for the size of a weight file. It reads a clock as well, by a function that is not on the list.

Source: Apple, Describing use of required reason API, and Privacy manifest files.
"""

import plistlib

PRIVACY_MANIFEST = "PrivacyInfo.xcprivacy"

# Functions of the C library on Apple's list, by category.
REQUIRED_REASON_FUNCTIONS = {
    "NSPrivacyAccessedAPICategoryFileTimestamp": (
        "stat", "fstat", "fstatat", "lstat", "getattrlist", "getattrlistat", "getattrlistbulk",
        "fgetattrlist",
    ),
    "NSPrivacyAccessedAPICategorySystemBootTime": ("mach_absolute_time",),
    "NSPrivacyAccessedAPICategoryDiskSpace": (
        "statfs", "fstatfs", "statvfs", "fstatvfs", "getattrlist", "fgetattrlist",
        "getattrlistat",
    ),
}  # fmt: skip

# "Access the timestamps, size, or other metadata of files inside the app container".
_SIZE_OF_OWN_FILES = "C617.1"
REASONS = {"NSPrivacyAccessedAPICategoryFileTimestamp": (_SIZE_OF_OWN_FILES,)}


def privacy_manifest() -> bytes:
    """The file: nothing is collected, and nobody is tracked."""
    record = {
        "NSPrivacyTracking": False,
        "NSPrivacyTrackingDomains": [],
        "NSPrivacyCollectedDataTypes": [],
        "NSPrivacyAccessedAPITypes": [
            {
                "NSPrivacyAccessedAPIType": category,
                "NSPrivacyAccessedAPITypeReasons": list(reasons),
            }
            for category, reasons in REASONS.items()
        ],
    }
    return plistlib.dumps(record)
