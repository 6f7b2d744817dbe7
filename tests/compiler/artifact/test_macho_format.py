"""LLVM code as it is compiled for Apple's systems."""

from octavo.compiler.artifact.macho_format import for_linking

GIVEN = """\
target triple = "arm64-apple-ios15.0"

define dllexport noundef i32 @k_first(ptr %x) local_unnamed_addr #0 !dbg !5 {
    #dbg_value(ptr %x, !6, !DIExpression(), !7)
  %1 = load i32, ptr %x, align 4, !dbg !7, !tbaa !8
  ret i32 %1, !dbg !7
}
define weak dso_local i16 @__truncsfhf2(float %a) #1 {
  ret i16 0
}
define private i32 @part(ptr %x) {
  ret i32 0
}
define internal i32 @other(ptr %x) {
  ret i32 0
}
declare float @expf(float)

!llvm.dbg.cu = !{!0}
!llvm.module.flags = !{!1}
!0 = distinct !DICompileUnit(language: DW_LANG_C)
"""
WANTED = """\
target triple = "arm64-apple-ios15.0"

define hidden noundef i32 @k_first(ptr %x) local_unnamed_addr #0 {
  %1 = load i32, ptr %x, align 4, !tbaa !8
  ret i32 %1
}
define weak hidden i16 @__truncsfhf2(float %a) #1 {
  ret i16 0
}
define private i32 @part(ptr %x) {
  ret i32 0
}
define internal i32 @other(ptr %x) {
  ret i32 0
}
declare float @expf(float)

!llvm.module.flags = !{!1}
!0 = distinct !DICompileUnit(language: DW_LANG_C)
"""


def test_debuggers_are_left_out_and_functions_stay_in_the_app():
    assert for_linking(GIVEN) == WANTED
    assert for_linking(WANTED) == WANTED
