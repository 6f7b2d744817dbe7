"""Graph networks as exporters write them, with numpy references and data made here."""
