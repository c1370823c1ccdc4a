//! `settings!`: a layer has a dozen settings, each of which would otherwise be written down six times, as field,
//! default, builder method, reader, writer and message. The macro makes all of them from one row of a table.

use super::{Common, Registry, Setting};
use crate::{Error, Result};
use serde_json::{Map, Value};

/// A key, the values of it that are accepted, and a description of these.
type WithoutEffect = (&'static str, fn(&Value) -> bool, &'static str);

/// What Keras's `get_config()` contains besides the settings that have an effect here.
const WITHOUT_EFFECT: &[WithoutEffect] = &[
    ("dtype", is_float32, "null or float32 (all layers have the dtype of their network: .dtype(…))"),
    ("seed", Value::is_null, "null (random numbers follow from the seed of the network: .seed(…))"),
    ("quantization_config", Value::is_null, "null (layers are not quantized one by one)"),
    ("input_axes", Value::is_null, "null (the kernel's layer says which axes are inputs)"),
    ("output_axes", Value::is_null, "null (the kernel's layer says which axes are outputs)"),
    ("unroll", Value::is_boolean, "true or false"),
    ("synchronized", Value::is_boolean, "true or false"),
];

/// What may stand for an option of an optimizer, which stands around it here.
const NO_OPTION: &str = "null (an option stands around its optimizer: class_name Tuned)";

/// What Keras's `get_config()` says of each optimizer beside its own settings, if no option is set.
const WITHOUT_OPTIONS: &[WithoutEffect] = &[
    ("name", Value::is_string, "a name"),
    ("weight_decay", Value::is_null, NO_OPTION),
    ("clipnorm", Value::is_null, NO_OPTION),
    ("global_clipnorm", Value::is_null, NO_OPTION),
    ("clipvalue", Value::is_null, NO_OPTION),
    ("use_ema", |value| *value == false, NO_OPTION),
    ("ema_momentum", Value::is_number, "a number"),
    ("ema_overwrite_frequency", Value::is_null, NO_OPTION),
    ("loss_scale_factor", Value::is_null, "null (nothing trains in float16)"),
    ("gradient_accumulation_steps", Value::is_null, NO_OPTION),
];

/// Keras's default dtype: its name, or a policy of that name.
fn is_float32(dtype: &Value) -> bool {
    let policy = dtype.get("class_name").is_some_and(|class| class == "DTypePolicy");
    let name = if policy { &dtype["config"]["name"] } else { dtype };
    name.is_null() || name == "float32"
}

/// Takes the settings of one object out of JSON, key by key. It is compiled for each type of setting, not for each
/// setting.
#[derive(Debug)]
pub struct Reader<'a> {
    class: &'static str,
    settings: Map<String, Value>,
    registry: &'a Registry,
    /// The first error that [`Reader::set`] met.
    wrong: Option<Error>,
}

impl<'a> Reader<'a> {
    /// Fails unless it is an object of known keys.
    ///
    /// # Errors
    /// It is something else.
    pub fn open(
        class: &'static str,
        keys: &[&str],
        config: Value,
        registry: &'a Registry,
    ) -> Result<Reader<'a>> {
        let settings = match config {
            Value::Object(settings) => settings,
            other => return Err(super::setting::wrong("an object of settings", &other).at(class)),
        };
        if let Some(key) = settings.keys().find(|key| !keys.contains(&key.as_str())) {
            let known = if keys.is_empty() { "none".into() } else { keys.join(", ") };
            let why = format!("unknown setting '{}'; it has: {known}", key.escape_debug());
            return Err(Error::format(class, why));
        }
        Ok(Reader { class, settings, registry, wrong: None })
    }

    /// [`Reader::open`] for types that [`settings!`](crate::settings) declares: it accepts a whole `get_config()`
    /// of Keras, except values that have an effect in Keras but none here.
    ///
    /// # Errors
    /// Those of [`Reader::open`], or there is such a value.
    pub fn open_settings(
        class: &'static str,
        keys: &[&str],
        mut config: Value,
        registry: &'a Registry,
    ) -> Result<Reader<'a>> {
        let options = if keys.contains(&"learning_rate") { WITHOUT_OPTIONS } else { &[] };
        let skipped = WITHOUT_EFFECT.iter().chain(options);
        for (key, may_be, expected) in skipped.filter(|(key, ..)| !keys.contains(key)) {
            let value = config.as_object_mut().and_then(|settings| settings.remove(*key));
            if let Some(value) = value.filter(|value| !may_be(value)) {
                return Err(super::setting::wrong(expected, &value).at(*key).at(class));
            }
        }
        Reader::open(class, keys, config, registry)
    }

    /// Reads a required setting.
    ///
    /// # Errors
    /// It is missing, or of another type.
    #[inline(never)]
    pub fn required<T: Setting>(&mut self, key: &'static str) -> Result<T> {
        match self.optional(key) {
            Ok(Some(value)) => Ok(value),
            Ok(None) => Err(self.missing(key)),
            Err(e) => Err(e),
        }
    }

    /// Reads an optional setting.
    ///
    /// # Errors
    /// It is of another type.
    #[inline(never)]
    pub fn optional<T: Setting>(&mut self, key: &'static str) -> Result<Option<T>> {
        let Some(value) = self.take(key) else { return Ok(None) };
        match T::read(value, self.registry) {
            Ok(value) => Ok(Some(value)),
            Err(e) => Err(self.at(key, e)),
        }
    }

    /// Sets a field to the value of an optional setting. [`Reader::finish`] reports errors.
    #[inline(never)]
    pub fn set<T: Setting>(&mut self, key: &'static str, field: &mut T) {
        let Some(value) = self.take(key) else { return };
        match T::read(value, self.registry) {
            Ok(value) => *field = value,
            Err(e) => self.wrong = Some(self.at(key, e)),
        }
    }

    /// Reads the settings that every layer has.
    pub fn set_common(&mut self, common: &mut Common) {
        self.set("name", &mut common.name);
        let mut trainable = true;
        self.set("trainable", &mut trainable);
        common.frozen = !trainable;
    }

    /// Fails if [`Reader::set`] met a setting of another type.
    ///
    /// # Errors
    /// There was such a setting; the message names it.
    pub fn finish(self) -> Result<()> {
        self.wrong.map_or(Ok(()), Err)
    }

    /// Takes the value of a setting; after the first error there is none.
    fn take(&mut self, key: &str) -> Option<Value> {
        if self.wrong.is_some() { None } else { self.settings.remove(key) }
    }

    fn missing(&self, key: &str) -> Error {
        Error::format(self.class, format!("the setting '{key}' is missing"))
    }

    fn at(&self, key: &str, e: Error) -> Error {
        e.at(key).at(self.class)
    }
}

/// Writes the settings of one object as JSON.
#[derive(Debug)]
pub struct Writer {
    class: &'static str,
    settings: Result<Map<String, Value>>,
}

impl Writer {
    /// Creates a writer for an object of this class.
    pub fn new(class: &'static str) -> Writer {
        Writer { class, settings: Ok(Map::new()) }
    }

    /// Adds a setting.
    #[inline(never)]
    pub fn put<T: Setting>(&mut self, key: &'static str, value: &T) {
        self.put_value(key, value.write());
    }

    fn put_value(&mut self, key: &'static str, value: Result<Value>) {
        match (value, &mut self.settings) {
            (Ok(value), Ok(settings)) => drop(settings.insert(key.into(), value)),
            (Err(e), Ok(_)) => self.settings = Err(e.at(key).at(self.class)),
            (_, Err(_)) => {}
        }
    }

    /// Adds the settings that every layer has.
    pub fn put_common(&mut self, common: &Common) {
        if let (Some(why), Ok(_)) = (&common.misnamed, &self.settings) {
            self.settings = Err(Error::Custom(why.clone()).at(self.class));
        }
        self.put("name", &common.name);
        self.put("trainable", &!common.frozen);
    }

    /// Returns everything written.
    ///
    /// # Errors
    /// JSON cannot hold one of them.
    pub fn finish(self) -> Result<Value> {
        self.settings.map(Value::Object)
    }
}

/// Keeps the error of a name until the layer is built, or the settings are checked.
pub fn misnamed(kept: &mut Option<String>, setting: &'static str, e: Error) {
    let e = match e {
        Error::Argument { expected, got, .. } => Error::Argument { name: setting, expected, got },
        other => other.at(setting),
    };
    kept.get_or_insert(e.to_string());
}

/// Sets the name of a layer.
pub fn set_name(common: &mut Common, name: &str) {
    common.name = Some(name.into());
}

/// Declares a type by its settings: its fields, `new`, a documented builder method for each optional setting, and
/// its form in files.
///
/// ```
/// use gradus::config::{Configured, Described, Dyn, Registry};
/// use gradus::nn::activation::{Activation, Linear, Relu};
/// use gradus::nn::regularizer::{L2, Regularizer};
///
/// gradus::settings! {
///     /// A gated linear unit.
///     pub layer Glu as "acme>Glu" {
///         /// Of `units` outputs.
///         new(units: usize);
///
///         /// Activation of the gate. Default: none.
///         activation: into Dyn<dyn Activation> = Linear,
///         /// Whether there is a bias. Default: `true`.
///         use_bias: bool = true,
///         /// Regularizer of the kernel. Default: none.
///         kernel_regularizer: some into Dyn<dyn Regularizer>,
///     }
/// }
///
/// let glu = Glu::new(8).activation(Relu).named("gate").kernel_regularizer(L2::new(0.5)).frozen();
/// let config = glu.config()?;
/// assert_eq!(config["activation"]["class_name"], "Relu");
/// let again = Glu::from_config(config, &Registry::new())?;
/// assert!(again.units == 8 && again.use_bias && again.common.frozen);
/// # Ok::<(), gradus::Error>(())
/// ```
///
/// The head is `layer Name` for layers, which then have `.named("…")`, `.frozen()` and the field `common`, or
/// `struct Name` for everything else. The name in files follows `as`; by default it is the type's own.
/// `#[derive(…)]` and other attributes go to the struct, which is always `Clone` and `Debug`; `#[cfg(…)]` goes
/// before the macro.
///
/// `new(…);` comes first and lists the required settings, which must also be present in files. Without arguments
/// there is a `Default` too. Leave it out to write your own constructor. Then comes each optional setting with its
/// default:
///
/// | row | field | builder method |
/// | --- | --- | --- |
/// | `rate: f64 = 0.5` | `f64` | takes `f64` |
/// | `activation: into Dyn<dyn Activation> = Linear` | `Dyn<dyn Activation>` | takes `impl Into<…>`; so may the default be |
/// | `padding: named Padding = Padding::Valid` | `Padding` | takes a `Padding` or its name, `"same"`; a `struct` needs a field `misnamed: state Option<String> = None` too, which its `check` hands to [`well_named`](crate::config::well_named) |
/// | `class_id: some usize` | `Option<usize>`, `None` | takes `usize` |
/// | `penalty: some into Dyn<dyn Regularizer>` | `Option<…>`, `None` | takes `impl Into<…>` |
/// | `warmup: stored u64 = 0` | `u64` | none: for methods of your own |
/// | `warmup: stored u64` | `u64` | none; files must have it |
/// | `mean: state Mean = Mean::default()` | `Mean` | none, and files do not have it |
///
/// In `new(…)` an argument is `units: usize` or `rate: into LearningRate`; with `l2: f64 = 0.01`, files may leave
/// it out. A field may begin with a visibility. Types of settings implement [`Setting`](crate::config::Setting), as
/// those of `settings!` and [`string_enum!`](crate::string_enum) do.
#[macro_export]
macro_rules! settings {
    // The constructor: its arguments one by one, then the settings. `@…` rules take, in this order: the head, the
    // constructor, required settings (name, field's type, argument's type, its value, its value if files leave it
    // out), optional settings (visibility, name, type, default), builder methods (attributes, name, argument's
    // type, value), state (name, type, value); then what is still to be read.
    (@new $head:tt $ctor:tt [$($need:tt)*] () $rest:tt) => {
        $crate::settings! { @row $head $ctor [$($need)*] [] [] [] $rest }
    };
    (@new $head:tt $ctor:tt [$($need:tt)*] ($name:ident: into $type:ty $(= $absent:expr)? $(, $($more:tt)*)?) $rest:tt) => {
        $crate::settings! { @new $head $ctor [$($need)* {
            [] $name [$type] [impl ::core::convert::Into<$type>] [::core::convert::Into::into($name)]
            [$(::core::convert::Into::<$type>::into($absent))?]
        }] ($($($more)*)?) $rest }
    };
    (@new $head:tt $ctor:tt [$($need:tt)*] ($name:ident: $type:ty $(= $absent:expr)? $(, $($more:tt)*)?) $rest:tt) => {
        $crate::settings! { @new $head $ctor
            [$($need)* { [] $name [$type] [$type] [$name] [$($absent)?] }] ($($($more)*)?) $rest }
    };

    // The settings, one by one.
    (@row $head:tt $ctor:tt $need:tt [$($opt:tt)*] [$($set:tt)*] $state:tt
        { $(#[$meta:meta])* $vis:vis $name:ident: some into $type:ty $(, $($more:tt)*)? }
    ) => {
        $crate::settings! { @row $head $ctor $need
            [$($opt)* { [$vis] $name [::core::option::Option<$type>] [::core::option::Option::None] }]
            [$($set)* {
                [$(#[$meta])*] $name [impl ::core::convert::Into<$type>]
                [::core::option::Option::Some(::core::convert::Into::into($name))]
            }]
            $state { $($($more)*)? }
        }
    };
    (@row $head:tt $ctor:tt $need:tt [$($opt:tt)*] [$($set:tt)*] $state:tt
        { $(#[$meta:meta])* $vis:vis $name:ident: some $type:ty $(, $($more:tt)*)? }
    ) => {
        $crate::settings! { @row $head $ctor $need
            [$($opt)* { [$vis] $name [::core::option::Option<$type>] [::core::option::Option::None] }]
            [$($set)* { [$(#[$meta])*] $name [$type] [::core::option::Option::Some($name)] }]
            $state { $($($more)*)? }
        }
    };
    (@row $head:tt $ctor:tt $need:tt [$($opt:tt)*] [$($set:tt)*] $state:tt
        { $(#[$meta:meta])* $vis:vis $name:ident: named $type:ty = $default:expr $(, $($more:tt)*)? }
    ) => {
        $crate::settings! { @row $head $ctor $need
            [$($opt)* { [$vis] $name [$type] [$default] }]
            [$($set)* { [$(#[$meta])*] $name [impl $crate::config::OrName<$type>] [@named $name] }]
            $state { $($($more)*)? }
        }
    };
    (@row $head:tt $ctor:tt $need:tt [$($opt:tt)*] [$($set:tt)*] $state:tt
        { $(#[$meta:meta])* $vis:vis $name:ident: into $type:ty = $default:expr $(, $($more:tt)*)? }
    ) => {
        $crate::settings! { @row $head $ctor $need
            [$($opt)* { [$vis] $name [$type] [::core::convert::Into::<$type>::into($default)] }]
            [$($set)* {
                [$(#[$meta])*] $name [impl ::core::convert::Into<$type>] [::core::convert::Into::into($name)]
            }]
            $state { $($($more)*)? }
        }
    };
    (@row $head:tt $ctor:tt $need:tt [$($opt:tt)*] $set:tt $state:tt
        { $(#[$meta:meta])* $vis:vis $name:ident: stored $type:ty = $default:expr $(, $($more:tt)*)? }
    ) => {
        $crate::settings! { @row $head $ctor $need
            [$($opt)* { [$(#[$meta])* $vis] $name [$type] [$default] }] $set
            $state { $($($more)*)? }
        }
    };
    (@row $head:tt $ctor:tt [$($need:tt)*] $opt:tt $set:tt $state:tt
        { $(#[$meta:meta])* $vis:vis $name:ident: stored $type:ty $(, $($more:tt)*)? }
    ) => {
        $crate::settings! { @row $head $ctor
            [$($need)* { [$(#[$meta])* $vis] $name [$type] [$type] [$name] [] }] $opt $set
            $state { $($($more)*)? }
        }
    };
    (@row $head:tt $ctor:tt $need:tt $opt:tt $set:tt [$($state:tt)*]
        { $(#[$meta:meta])* $vis:vis $name:ident: state $type:ty = $value:expr $(, $($more:tt)*)? }
    ) => {
        $crate::settings! { @row $head $ctor $need $opt $set
            [$($state)* { [$(#[$meta])* $vis] $name [$type] [$value] }] { $($($more)*)? }
        }
    };
    (@row $head:tt $ctor:tt $need:tt [$($opt:tt)*] [$($set:tt)*] $state:tt
        { $(#[$meta:meta])* $vis:vis $name:ident: $type:ty = $default:expr $(, $($more:tt)*)? }
    ) => {
        $crate::settings! { @row $head $ctor $need
            [$($opt)* { [$vis] $name [$type] [$default] }]
            [$($set)* { [$(#[$meta])*] $name [$type] [$name] }]
            $state { $($($more)*)? }
        }
    };

    // All has been read.
    (@row [$common:tt [$($meta:tt)*] $vis:vis, $type:ident, $file:expr] $ctor:tt
        [$({ [$($need_vis:tt)*] $need:ident [$($need_type:tt)*] [$($arg:tt)*] [$($given:tt)*] $absent:tt })*]
        [$({ [$($opt_vis:tt)*] $opt:ident [$($opt_type:tt)*] [$($default:tt)*] })*]
        [$({ [$($set_meta:tt)*] $set:ident [$($set_type:tt)*] [$($value:tt)*] })*]
        [$({ [$($state_vis:tt)*] $state:ident [$($state_type:tt)*] [$($initial:tt)*] })*]
        { }
    ) => {
        $crate::settings! { @struct $common [$($meta)* $vis] $type {
            $($($need_vis)* $need: $($need_type)*,)*
            $($($opt_vis)* $opt: $($opt_type)*,)*
            $($($state_vis)* $state: $($state_type)*,)*
        } }

        $crate::settings! { @ctor $common $ctor $type
            ($($need: $($arg)*),*)
            { $($need: $($given)*,)* $($opt: $($default)*,)* $($state: $($initial)*,)* }
        }

        #[allow(dead_code)]
        impl $type {
            $(
                $($set_meta)*
                #[must_use]
                pub fn $set(mut self, $set: $($set_type)*) -> Self {
                    $crate::settings! { @set $common self $set [$($value)*] }
                    self
                }
            )*
        }

        impl $crate::config::Configured for $type {
            fn class_name(&self) -> &'static str {
                stringify!($type)
            }
            fn registered_name(&self) -> &'static str {
                $file
            }
            fn config(&self) -> $crate::Result<$crate::config::generated::Value> {
                #[allow(unused_mut)]
                let mut to = $crate::config::generated::Writer::new(stringify!($type));
                $(to.put(stringify!($need), &self.$need);)*
                $(to.put(stringify!($opt), &self.$opt);)*
                $crate::settings! { @write $common to self }
                to.finish()
            }
            $crate::settings! { @common $common }
        }

        impl $crate::config::Described for $type {
            const NAME: &'static str = $file;

            fn from_config(
                config: $crate::config::generated::Value,
                registry: &$crate::config::Registry,
            ) -> $crate::Result<Self> {
                const KEYS: &[&str] = $crate::settings! { @keys $common [$(stringify!($need),)* $(stringify!($opt),)*] };
                #[allow(unused_mut)]
                let mut from =
                    $crate::config::generated::Reader::open_settings(stringify!($type), KEYS, config, registry)?;
                #[allow(unused_mut)]
                let mut read = $crate::settings! { @default $common $type {
                    $($need: $crate::settings! { @need from $need $absent },)*
                    $($opt: $($default)*,)*
                    $($state: $($initial)*,)*
                } };
                $(from.set(stringify!($opt), &mut read.$opt);)*
                $crate::settings! { @read $common from read }
                from.finish()?;
                ::core::result::Result::Ok(read)
            }
        }

        impl $crate::config::Setting for $type {
            fn write(&self) -> $crate::Result<$crate::config::generated::Value> {
                $crate::config::Configured::config(self)
            }
            fn read(
                value: $crate::config::generated::Value,
                registry: &$crate::config::Registry,
            ) -> $crate::Result<Self> {
                <$type as $crate::config::Described>::from_config(value, registry)
            }
        }
    };

    // A setting's new value. For a layer it may be a name, and an unknown one is an error where the layer is built.
    (@set layer $self:ident $set:ident [@named $value:ident]) => {
        match $crate::config::OrName::value_or_name($value) {
            ::core::result::Result::Ok(value) => $self.$set = value,
            ::core::result::Result::Err(e) => {
                $crate::config::generated::misnamed(&mut $self.common.misnamed, stringify!($set), e)
            }
        }
    };
    (@set struct $self:ident $set:ident [@named $value:ident]) => {
        match $crate::config::OrName::value_or_name($value) {
            ::core::result::Result::Ok(value) => $self.$set = value,
            ::core::result::Result::Err(e) => {
                $crate::config::generated::misnamed(&mut $self.misnamed, stringify!($set), e)
            }
        }
    };
    (@set $common:tt $self:ident $set:ident [$($value:tt)*]) => { $self.$set = $($value)*; };

    // A required setting, or one with a value for files that leave it out.
    (@need $from:ident $need:ident []) => { $from.required(stringify!($need))? };
    (@need $from:ident $need:ident [$($absent:tt)+]) => {
        match $from.optional(stringify!($need))? {
            ::core::option::Option::Some(value) => value,
            ::core::option::Option::None => $($absent)+,
        }
    };

    // What layers have and others have not.
    (@struct layer [$($meta:tt)*] $type:ident { $($fields:tt)* }) => {
        $($meta)* struct $type { $($fields)* common: $crate::config::Common }
        impl $type {
            /// Sets the layer's name; by default it is made from its type: `dense`, `dense_1`, …
            #[must_use]
            pub fn named(mut self, name: &str) -> Self {
                $crate::config::generated::set_name(&mut self.common, name);
                self
            }
            /// Freezes the layer: its parameters keep their values in training.
            #[must_use]
            pub fn frozen(mut self) -> Self {
                self.common.frozen = true;
                self
            }
        }
    };
    (@struct struct [$($meta:tt)*] $type:ident { $($fields:tt)* }) => {
        $($meta)* struct $type { $($fields)* }
    };
    (@ctor $common:tt [] $type:ident $args:tt $fields:tt) => {};
    (@ctor $common:tt [$($meta:tt)*] $type:ident () { $($fields:tt)* }) => {
        $crate::settings! { @fn $common [$($meta)*] $type () { $($fields)* } }
        impl ::core::default::Default for $type {
            fn default() -> Self {
                $type::new()
            }
        }
    };
    (@ctor $common:tt $meta:tt $type:ident $args:tt $fields:tt) => {
        $crate::settings! { @fn $common $meta $type $args $fields }
    };
    (@fn layer [; $($meta:tt)*] $type:ident ($($args:tt)*) { $($fields:tt)* }) => {
        impl $type {
            $($meta)*
            pub fn new($($args)*) -> Self {
                $crate::settings! { @default layer $type { $($fields)* } }
            }
        }
    };
    (@fn struct [; $($meta:tt)*] $type:ident ($($args:tt)*) { $($fields:tt)* }) => {
        impl $type {
            $($meta)*
            pub fn new($($args)*) -> Self {
                $type { $($fields)* }
            }
        }
    };
    (@write layer $to:ident $self:ident) => { $to.put_common(&$self.common); };
    (@write struct $to:ident $self:ident) => {};
    (@common layer) => {
        fn common(&self) -> ::core::option::Option<&$crate::config::Common> {
            ::core::option::Option::Some(&self.common)
        }
    };
    (@common struct) => {};
    (@keys layer [$($key:expr,)*]) => { &[$($key,)* "name", "trainable"] };
    (@keys struct [$($key:expr,)*]) => { &[$($key,)*] };
    (@read layer $from:ident $read:ident) => { $from.set_common(&mut $read.common); };
    (@read struct $from:ident $read:ident) => {};
    (@default layer $type:ident { $($fields:tt)* }) => { $type { $($fields)* common: ::core::default::Default::default() } };
    (@default struct $type:ident { $($fields:tt)* }) => { $type { $($fields)* } };

    // The beginning.
    (@head $common:tt [$($meta:tt)*] $vis:vis, $type:ident, $file:expr; {
        $(#[$ctor:meta])* new($($args:tt)*); $($rows:tt)*
    }) => {
        $crate::settings! { @new [$common [$($meta)*] $vis, $type, $file] [; $(#[$ctor])*] [] ($($args)*) { $($rows)* } }
    };
    (@head $common:tt [$($meta:tt)*] $vis:vis, $type:ident, $file:expr; { $($rows:tt)* }) => {
        $crate::settings! { @row [$common [$($meta)*] $vis, $type, $file] [] [] [] [] [] { $($rows)* } }
    };
    ($(#[$meta:meta])* $vis:vis layer $type:ident as $file:literal { $($rows:tt)* }) => {
        $crate::settings! { @head layer [$(#[$meta])* #[derive(Clone, Debug)]] $vis, $type, $file; { $($rows)* } }
    };
    ($(#[$meta:meta])* $vis:vis layer $type:ident { $($rows:tt)* }) => {
        $crate::settings! { @head layer [$(#[$meta])* #[derive(Clone, Debug)]] $vis, $type, stringify!($type); { $($rows)* } }
    };
    ($(#[$meta:meta])* $vis:vis struct $type:ident as $file:literal { $($rows:tt)* }) => {
        $crate::settings! { @head struct [$(#[$meta])* #[derive(Clone, Debug)]] $vis, $type, $file; { $($rows)* } }
    };
    ($(#[$meta:meta])* $vis:vis struct $type:ident { $($rows:tt)* }) => {
        $crate::settings! { @head struct [$(#[$meta])* #[derive(Clone, Debug)]] $vis, $type, stringify!($type); { $($rows)* } }
    };
}
