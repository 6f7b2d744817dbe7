"""An LSTM and a GRU trained to read digits row by row."""
