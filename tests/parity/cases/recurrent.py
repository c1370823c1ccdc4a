"""Recurrent layers, their cells and what wraps them."""

from kit import *

REG = keras.regularizers
MASK = bools([[1, 1, 0, 1, 0], [0, 1, 1, 1, 1], [1, 0, 0, 0, 0]])  # in the middle, before, behind
ROUND = bools([[1, 0, 1, 0, 1], [0, 1, 1, 1, 0], [1, 1, 0, 1, 1]])  # the same from both ends
X = some(11, 3, 5, 2)
SEQ = dict(return_sequences=True, return_state=True)

for layer, states in (("SimpleRNN", 1), ("LSTM", 2), ("GRU", 1)):
    first = {"initial_state": [some(20 + i, 3, 4) for i in range(states)]}
    case(layer, dict(units=4), [X])
    case(layer, dict(units=4, **SEQ), [X])
    case(layer, dict(units=4, **SEQ), [X], masks=[MASK])
    case(layer, dict(units=4), [X], masks=[MASK])
    case(layer, dict(units=4, **SEQ), [X], masks=[MASK], named=first)
    case(layer, dict(units=4, return_state=True), [X], named=first)
    case(layer, dict(units=4, go_backwards=True, **SEQ), [X], named=first)
    case(layer, dict(units=4, go_backwards=True, **SEQ), [X], masks=[ROUND], named=first)
    case(layer, dict(units=4, go_backwards=True, return_state=True), [X], masks=[MASK])
    case(layer, dict(units=4, zero_output_for_mask=True, **SEQ), [X], masks=[MASK], named=first)
    case(layer, dict(units=4, zero_output_for_mask=True), [X], masks=[MASK])
    case(layer, dict(units=4, go_backwards=True, zero_output_for_mask=True), [X], masks=[MASK])
    case(layer, dict(units=1, use_bias=False, **SEQ), [some(12, 1, 1, 1)])
    case(layer, dict(units=4, activation="relu", **SEQ), [X], masks=[MASK], named=first)
    case(layer, dict(units=4, activation="softsign", go_backwards=True, **SEQ), [X], masks=[ROUND], named=first)
    case(layer, dict(units=4, dropout=0.3, recurrent_dropout=0.2, **SEQ), [X], masks=[MASK])
    case(layer, dict(units=4, dropout=0.3, activation="elu", use_bias=False), [X])
    # Keras's SimpleRNN takes an activity_regularizer and forgets it.
    activity = {} if layer == "SimpleRNN" else dict(activity_regularizer=Of(REG, "L2", l2=0.3))
    case(layer, dict(units=3, kernel_regularizer=Of(REG, "L2", l2=0.1), recurrent_regularizer=Of(REG, "L1", l1=0.05),
                     bias_regularizer=Of(REG, "L2", l2=0.02), **activity, **SEQ), [X])
    cell = {"states": [some(40 + i, 3, 4) for i in range(states)]}
    case(layer + "Cell", dict(units=4), [some(30, 3, 2)], named=cell)
    case(layer + "Cell", dict(units=4, activation="linear", use_bias=False), [some(31, 3, 2)], named=cell)
    case("RNN", dict(cell=L(layer + "Cell", units=4), **SEQ), [X], masks=[MASK], named=first)
    case("RNN", dict(cell=L(layer + "Cell", units=4), go_backwards=True, zero_output_for_mask=True), [X], masks=[MASK])
    case("Bidirectional", dict(layer=L(layer, units=3)), [X], masks=[MASK])
    case("Bidirectional", dict(layer=L(layer, units=3, return_sequences=True)), [X], masks=[MASK])
    case("Bidirectional", dict(layer=L(layer, units=4, **SEQ), merge_mode="sum"), [X],
         named={"initial_state": [some(50 + i, 3, 4) for i in range(2 * states)]})

for layer in ("LSTM", "GRU"):
    case(layer, dict(units=4, recurrent_activation="hard_sigmoid", **SEQ), [X], masks=[MASK])
    case(layer, dict(units=4, recurrent_activation="tanh", activation="sigmoid"), [X])

case("LSTM", dict(units=4, unit_forget_bias=False), [X])
case("GRU", dict(units=4, reset_after=False, **SEQ), [X], masks=[MASK])
case("GRU", dict(units=4, reset_after=False, go_backwards=True, **SEQ), [X], named={"initial_state": [some(21, 3, 4)]})
case("GRU", dict(units=4, reset_after=False, use_bias=False, activation="relu", recurrent_dropout=0.1), [X], masks=[MASK])
case("GRUCell", dict(units=4, reset_after=False, recurrent_activation="relu"), [some(32, 3, 2)], named={"states": [some(41, 3, 4)]})

STACK = L("StackedRNNCells", cells=[L("LSTMCell", units=3), L("GRUCell", units=2), L("SimpleRNNCell", units=4)])
case("RNN", dict(cell=STACK, return_sequences=True), [X], masks=[MASK])
case("RNN", dict(cell=STACK), [X])
case("RNN", dict(cell=L("StackedRNNCells", cells=[L("LSTMCell", units=3), L("LSTMCell", units=4)]), zero_output_for_mask=True,
                 return_sequences=True), [X], masks=[MASK])

for mode in ("mul", "ave", None):
    case("Bidirectional", dict(layer=L("LSTM", units=3, return_sequences=True), merge_mode=mode), [X])
case("Bidirectional", dict(layer=L("GRU", units=3, return_state=True), merge_mode=None), [X])
case("Bidirectional", dict(layer=L("LSTM", units=3, return_sequences=True),
                           backward_layer=L("GRU", units=3, return_sequences=True, go_backwards=True)), [X], masks=[MASK])
case("Bidirectional", dict(layer=L("RNN", cell=L("LSTMCell", units=2), return_sequences=True), merge_mode="concat"), [X], masks=[MASK])

case("TimeDistributed", dict(layer=L("Dense", units=3, activation="tanh")), [X], masks=[MASK])
case("TimeDistributed", dict(layer=L("Dense", units=3)), [some(60, 2, 3, 2, 2)])
case("TimeDistributed", dict(layer=L("LSTM", units=2)), [some(61, 2, 3, 4, 2)])
case("TimeDistributed", dict(layer=L("Flatten")), [some(62, 2, 3, 2, 2)])
