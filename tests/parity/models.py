"""Writes the cases of whole models: what each gives, its gradients, twenty steps of training, and its summary, as Keras 3.15.1
computes them in float64 on JAX. `python models.py` writes `pack/models.safetensors`; `tests/all/parity_models.rs` has the same
models in Rust.

Dropout has rate 0. No parameter has a gradient that is zero but for rounding, which Adam would make large: a convolution before
a batch normalization has no bias, and models with keys of attention are trained by SGD.
"""

import kit
from kit import *

K, I = keras.layers, keras.Input
O = keras.optimizers


def adam():
    return O.Adam(0.01)


def sgd():
    return O.SGD(0.05)


def momentum():
    return O.SGD(0.02, momentum=0.9)


MODELS = {}


def model(f):
    MODELS[f.__name__] = f
    return f


def seq(*layers):
    return keras.Sequential(list(layers))


@model
def mlp():
    m = seq(I((6,)), K.Dense(16, activation="relu"), K.Dense(8, activation="tanh"), K.Dropout(0.0), K.Dense(3, activation="softmax"))
    return m, [some(1, 8, 6)], [whole(2, 3, 8)], adam(), "sparse_categorical_crossentropy"


@model
def regularized():
    L2 = keras.regularizers.L2
    m = seq(I((5,)), K.Rescaling(2.0, offset=-0.5), K.Dense(7, kernel_regularizer=L2(0.01), activity_regularizer=keras.regularizers.L1(0.02)), K.PReLU(),
            K.Dense(6, kernel_constraint=keras.constraints.MaxNorm(0.8)), K.LeakyReLU(), K.ActivityRegularization(l2=0.01), K.Dense(1))
    return m, [some(3, 8, 5)], [some(4, 8, 1)], momentum(), "mean_squared_error"


@model
def cnn():
    m = seq(I((9, 8, 2)), K.Conv2D(4, 3, use_bias=False), K.BatchNormalization(), K.Activation("relu"), K.MaxPooling2D(2), K.Conv2D(5, 3, padding="same", activation="relu"),
            K.Flatten(), K.Dense(3, activation="softmax"))
    return m, [some(5, 6, 9, 8, 2)], [whole(6, 3, 6)], adam(), "sparse_categorical_crossentropy"


@model
def separable_cnn():
    m = seq(I((8, 8, 3)), K.ZeroPadding2D(1), K.SeparableConv2D(4, 3, strides=2, activation="relu"), K.DepthwiseConv2D(3, padding="same", depth_multiplier=2, use_bias=False),
            K.BatchNormalization(), K.ReLU(max_value=6.0), K.AveragePooling2D(2, padding="same"), K.GlobalAveragePooling2D(), K.Dense(2))
    return m, [some(7, 5, 8, 8, 3)], [some(8, 5, 2)], adam(), "mean_squared_error"


@model
def residual_cnn():
    x = I((6, 6, 3), name="image")
    h = K.Conv2D(4, 3, padding="same", use_bias=False, name="stem")(x)
    h = K.BatchNormalization(name="stem_bn")(h)
    skip = h = K.ReLU(name="stem_relu")(h)
    h = K.Conv2D(4, 3, padding="same", use_bias=False)(h)
    h = K.BatchNormalization()(h)
    h = K.Add()([h, skip])
    h = K.ReLU()(h)
    h = K.GlobalAveragePooling2D()(h)
    return keras.Model(x, K.Dense(2, activation="softmax", name="head")(h)), [some(9, 4, 6, 6, 3)], [whole(10, 2, 4)], adam(), "sparse_categorical_crossentropy"


@model
def u_net():
    x = I((8, 8, 1), name="image")
    a = K.Conv2D(3, 3, padding="same", activation="relu", name="down_1")(x)
    h = K.MaxPooling2D(name="pool_1")(a)
    b = K.Conv2D(4, 3, padding="same", activation="relu", name="down_2")(h)
    h = K.MaxPooling2D(name="pool_2")(b)
    h = K.Conv2D(5, 3, padding="same", activation="relu", name="bottom")(h)
    h = K.Conv2DTranspose(4, 3, strides=2, padding="same", activation="relu", name="up_2")(h)
    h = K.Concatenate(name="join_2")([h, b])
    h = K.UpSampling2D(2, interpolation="bilinear", name="up_1")(h)
    h = K.Concatenate(name="join_1")([h, a])
    y = K.Conv2D(1, 1, activation="sigmoid", name="mask")(h)
    return keras.Model(x, y, name="u_net"), [some(11, 3, 8, 8, 1)], [whole(12, 2, 3, 8, 8, 1).astype("float64")], adam(), "binary_crossentropy"


@model
def temporal_cnn():
    x = I((9, 2), name="series")
    h = K.Conv1D(4, 3, padding="causal", dilation_rate=2, activation="relu")(x)
    h = K.LayerNormalization()(h)
    r = K.Conv1D(4, 1)(x)
    h = K.Add()([h, r])
    h = K.SpatialDropout1D(0.0)(h)
    h = K.Cropping1D((3, 0))(h)
    h = K.GlobalAveragePooling1D()(h)
    return keras.Model(x, K.Dense(1)(h)), [some(13, 6, 9, 2)], [some(14, 6, 1)], adam(), "mean_squared_error"


@model
def volume():
    m = seq(I((5, 6, 5, 1)), K.Conv3D(3, 2, activation="relu"), K.MaxPooling3D((2, 1, 2)), K.Conv3DTranspose(2, 2), K.GroupNormalization(groups=2), K.GlobalAveragePooling3D(), K.Dense(2))
    return m, [some(15, 3, 5, 6, 5, 1)], [some(16, 3, 2)], sgd(), "mean_squared_error"


@model
def lstm():
    m = seq(I((7, 3)), K.LSTM(5, return_sequences=True), K.LSTM(4), K.Dense(1))
    return m, [some(17, 6, 7, 3)], [some(18, 6, 1)], adam(), "mean_squared_error"


@model
def bidirectional_gru():
    m = seq(I((6,), dtype="int64"), K.Embedding(11, 4, mask_zero=True), K.Bidirectional(K.GRU(3, return_sequences=True)), K.Bidirectional(K.GRU(4), merge_mode="sum"), K.Dense(1, activation="sigmoid"))
    tokens = whole(19, 11, 5, 6)
    tokens[0, 4:] = tokens[1, 2:] = tokens[2, :2] = 0
    return m, [tokens], [whole(20, 2, 5, 1).astype("float64")], adam(), "binary_crossentropy"


@model
def tagger():
    """The loss of a masked output counts the positions that count."""
    m = seq(I((5,), dtype="int64"), K.Embedding(9, 3, mask_zero=True), K.SimpleRNN(4, return_sequences=True), K.TimeDistributed(K.Dense(3, activation="softmax")))
    tokens = whole(21, 9, 4, 5)
    tokens[0, 3:] = tokens[2, 1:] = 0
    return m, [tokens], [whole(22, 3, 4, 5)], adam(), "sparse_categorical_crossentropy"


@model
def stacked_cells():
    m = seq(I((5, 3)), K.Masking(0.0), K.RNN([K.LSTMCell(3), K.GRUCell(4), K.SimpleRNNCell(2)]), K.Dense(2))
    x = some(23, 4, 5, 3)
    x[0, 3:] = x[1, 0] = 0.0
    return m, [x], [some(24, 4, 2)], adam(), "mean_squared_error"


@model
def conv_lstm():
    m = seq(I((4, 5, 5, 1)), K.ConvLSTM2D(2, 3, padding="same", return_sequences=True), K.TimeDistributed(K.Conv2D(2, 2)), K.ConvLSTM2D(2, 2), K.Flatten(), K.Dense(1))
    return m, [some(25, 3, 4, 5, 5, 1)], [some(26, 3, 1)], adam(), "mean_squared_error"


@model
def attention_encoder():
    ids = I((6,), dtype="int64", name="tokens")
    h = K.Embedding(13, 8, mask_zero=True, name="embed")(ids)
    # Asked for the scores, Keras computes in float64.
    a, _ = K.MultiHeadAttention(2, 4, name="attend")(h, h, return_attention_scores=True)
    h = K.LayerNormalization(epsilon=1e-6, name="norm_1")(K.Add(name="add_1")([h, a]))
    f = K.Dense(8, name="project")(K.Dense(16, activation="gelu", name="expand")(h))
    h = K.LayerNormalization(epsilon=1e-6, name="norm_2")(K.Add(name="add_2")([h, f]))
    h = K.GlobalAveragePooling1D(name="pool")(h)
    y = K.Dense(3, activation="softmax", name="class")(h)
    tokens = whole(27, 13, 5, 6)
    tokens[0, 4:] = tokens[1, 2:] = 0
    return keras.Model(ids, y, name="encoder"), [tokens], [whole(28, 3, 5)], sgd(), "sparse_categorical_crossentropy"


@model
def decoder():
    ids = I((7,), dtype="int64", name="tokens")
    h = K.Embedding(11, 6, name="embed")(ids)
    n = K.RMSNormalization(name="norm")(h)
    a, _ = K.MultiHeadAttention(3, 2, use_bias=False, name="attend")(n, n, use_causal_mask=True, return_attention_scores=True)
    h = K.Add(name="add")([h, a])
    y = K.EinsumDense("btd,dv->btv", output_shape=(None, 11), bias_axes="v", activation="softmax", name="next")(h)
    tokens = whole(29, 11, 4, 7)
    return keras.Model(ids, y, name="decoder"), [tokens], [np.roll(tokens, -1, 1)], sgd(), "sparse_categorical_crossentropy"


@model
def translator():
    """An encoder hands its states to a decoder that attends to what it gave."""
    source, target = I((5, 3), name="source"), I((4, 2), name="target")
    encoded, h, c = K.LSTM(4, return_sequences=True, return_state=True, name="encoder")(source)
    d = K.LSTM(4, return_sequences=True, name="decoder")(target, initial_state=[h, c])
    context = K.Attention(use_scale=True, name="attention")([d, encoded])
    y = K.TimeDistributed(K.Dense(2), name="out")(K.Concatenate(name="both")([d, context]))
    return keras.Model([source, target], y), [some(30, 5, 5, 3), some(31, 5, 4, 2)], [some(32, 5, 4, 2)], adam(), "mean_squared_error"


@model
def two_in_two_out():
    a, b = I((4,), name="a"), I((4,), name="b")
    shared = K.Dense(5, activation="tanh", name="shared")
    p, q = shared(a), shared(b)
    h = K.Concatenate(name="both")([p, q])
    gate = K.Multiply(name="gate")([p, q])
    y = K.Dense(3, activation="softmax", name="kind")(h)
    z = K.Dense(1, name="size")(K.Average(name="middle")([gate, K.Subtract(name="apart")([p, q])]))
    return keras.Model([a, b], [y, z], name="two"), [some(33, 7, 4), some(34, 7, 4)], [whole(35, 3, 7), some(36, 7, 1)], adam(), ["sparse_categorical_crossentropy", "mean_squared_error"]


@model
def siamese():
    a, b = I((8, 1), name="left"), I((8, 1), name="right")
    tower = keras.Sequential([I((8, 1)), K.Conv1D(4, 3, activation="elu"), K.MaxPooling1D(2), K.Flatten(), K.Dense(3)], name="tower")
    y = K.Dot(axes=-1, normalize=True, name="cosine")([tower(a), tower(b)])
    return keras.Model([a, b], y), [some(37, 6, 8, 1), some(38, 6, 8, 1)], [some(39, 6, 1)], momentum(), "mean_squared_error"


@model
def wide_and_deep():
    ids, x = I((2,), dtype="int64", name="ids"), I((5,), name="x")
    e = K.Flatten(name="flat")(K.Embedding(6, 3, name="table")(ids))
    deep = K.Dense(6, activation="silu", name="deep")(K.Concatenate(name="all")([e, x]))
    deep = K.UnitNormalization(name="unit")(deep)
    wide = K.Dense(6, name="wide")(x)
    h = K.Maximum(name="larger")([deep, wide])
    h = K.Reshape((3, 2), name="pairs")(h)
    h = K.Permute((2, 1), name="turned")(h)
    h = K.Flatten(name="again")(h)
    return keras.Model([ids, x], K.Dense(1, activation="sigmoid", name="click")(h)), [whole(40, 6, 7, 2), some(41, 7, 5)], [whole(42, 2, 7, 1).astype("float64")], adam(), "binary_crossentropy"


@model
def autoencoder():
    m = seq(I((10,)), K.Dense(6, activation="selu"), K.BatchNormalization(momentum=0.8, center=False), K.Dense(2, name="code"), K.RepeatVector(3), K.GRU(4, reset_after=False), K.Dense(10, activation="sigmoid"))
    return m, [some(43, 8, 10)], [some(44, 8, 10, low=0.1, high=0.9)], adam(), "mean_squared_error"


@model
def additive():
    """Attention over a sequence with masks on both sides."""
    q, v = I((3,), dtype="int64", name="question"), I((5,), dtype="int64", name="text")
    table = K.Embedding(9, 4, mask_zero=True, name="table")
    a, b = table(q), table(v)
    h = K.AdditiveAttention(name="look")([a, b])
    h = K.GlobalAveragePooling1D(name="pool")(h)
    u, w = whole(45, 9, 5, 3), whole(46, 9, 5, 5)
    u[0, 2:] = w[0, 3:] = w[1, 1:] = 0
    u[:, 0] = w[:, 0] = 3
    return keras.Model([q, v], K.Dense(1, activation="sigmoid", name="answer")(h)), [u, w], [whole(47, 2, 5, 1).astype("float64")], adam(), "binary_crossentropy"


STEPS = 20


def run(pack, name, f):
    in_float64()
    m, x, y, optimizer, loss = f()
    losses = loss if isinstance(loss, list) else [loss]
    m.compile(optimizer, loss)
    paths = []
    for layer in m.layers:
        paths += [(f"{layer.name}/{path}", v) for path, v in variables(layer)]
    randomize(paths, 2000)
    before = {path: np.asarray(v.value) for path, v in paths}
    ids = {id(v): path for path, v in paths}
    xs = x if len(x) > 1 else x[0]
    ys = y if len(y) > 1 else y[0]
    trainable = [v.value for v in m.trainable_variables]
    floats = [i for i, a in enumerate(x) if is_float(a)]

    def whole_loss(trainable, given):
        full = [jnp.asarray(a) for a in x]
        for i, a in zip(floats, given):
            full[i] = a
        with keras.StatelessScope(state_mapping=list(zip(m.trainable_variables, trainable)), collect_losses=True):
            out = m(full if len(full) > 1 else full[0], training=True)
            return m.compute_loss(x=None, y=ys, y_pred=out, training=True)

    args = (trainable, [jnp.asarray(x[i]) for i in floats])
    m.evaluate(xs, ys, verbose=0)  # builds metrics and optimizer
    single = "f32[" in str(jax.make_jaxpr(whole_loss)(*args))
    first, (gt, gx) = jax.value_and_grad(whole_loss, argnums=(0, 1))(*args)
    outputs = m(xs, training=False)
    outputs = outputs if isinstance(outputs, list) else [outputs]
    history = []
    for _ in range(STEPS):
        m.reset_metrics()
        got = m.train_on_batch(xs, ys, return_dict=True)
        history.append(float(got["loss"]))
    item = {
        "name": name, "losses": losses,
        "optimizer": optimizer.name, "inputs": [pack.put(a) for a in x], "targets": [pack.put(a) for a in y],
        "weights": pack.puts(before), "outputs": [pack.put(np.asarray(o)) for o in outputs],
        "loss": float(first),
        "weight_gradients": {ids[id(v)]: pack.put(g) for v, g in zip(m.trainable_variables, gt)},
        "input_gradients": {str(i): pack.put(g) for i, g in zip(floats, gx)},
        "history": history,
        "after": {path: pack.put(v.value) for path, v in paths},
    }
    if single:
        item["precision"] = "float32"
    # Fresh, in float32 as most people have it, for its text.
    keras.backend.clear_session()
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
    lines = []
    os.environ["COLUMNS"] = "80"
    f()[0].summary(print_fn=lines.append)
    item["summary"] = "\n".join(lines)
    small = min(float(np.abs(np.asarray(g)).max()) for g in gt)
    print(f"{name}: loss {history[0]:.4f} to {history[-1]:.4f}, smallest gradient {small:.1e}{' float32' if single else ''}", flush=True)
    pack.cases.append(item)


def main(wanted):
    pack = Pack()
    for name, f in MODELS.items():
        if not wanted or name in wanted:
            run(pack, name, f)
    if not wanted:
        pack.write("models")


if __name__ == "__main__":
    main(sys.argv[1:])
