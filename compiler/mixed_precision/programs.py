"""From a configuration to the program that computes it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import onnx_ir as ir

from octavo.compiler.lowering.kernel_call import Scheduler
from octavo.compiler.lowering.lower import lower
from octavo.compiler.lowering.program import Program
from octavo.compiler.mixed_precision.network import Formats, MixedNetwork
from octavo.compiler.tuning.options import TuningOptions
from octavo.compiler.tuning.stage import tuned_scheduler
from octavo.passes.layer_format import EIGHT_BITS
from octavo.targets.base import Target

FLOAT_REASON = "chosen by the search"


@dataclass
class ProgramMaker:
    """Lowers configurations of one network for one target.

    Attributes:
        network: The network.
        target: What programs are for.
        requantize: Rounding contract.
        name: C identifier of the programs.
    """

    network: MixedNetwork
    target: Target
    requantize: str
    name: str
    _scheduler: Scheduler | None = field(default=None)

    def program(self, formats: Formats) -> Program:
        """The program of a configuration.

        Raises:
            LoweringError: There is none.
        """
        return self.lowered(self.network.quantized(formats), self._reasons(formats))

    def lowered(self, model: ir.Model, reasons: Mapping[str, str]) -> Program:
        """The program of a model, with the schedules that were measured before, if any."""
        if self._scheduler is None:
            self._scheduler, _ = tuned_scheduler(
                TuningOptions(),
                self.target,
                lambda scheduler: self._lower(model, reasons, scheduler),
                lambda done, total: None,
            )
        return self._lower(model, reasons, self._scheduler)

    def _lower(
        self, model: ir.Model, reasons: Mapping[str, str], scheduler: Scheduler
    ) -> Program:
        return lower(
            model, self.target, mode=self.requantize, name=self.name, reasons=reasons,
            scheduler=scheduler)

    def _reasons(self, formats: Formats) -> Mapping[str, str]:
        """Why nodes are in float: as the quantizer says, or because the search wants it."""
        eight = self.network.float_nodes(dict.fromkeys(formats, EIGHT_BITS))
        chosen = {name: FLOAT_REASON for name, f in formats.items() if f.is_float}
        return {**self.network.float_nodes(formats), **chosen, **eight}
