//! Enums of a surface that have the values of an enum of the rows.

/// Makes the one of the other, by the names of their values. Both are in scope by one name.
macro_rules! same {
    ($($outer:ident = $inner:ident: $($variant:ident),+;)+) => {
        $(
            impl From<$inner> for $outer {
                fn from(inner: $inner) -> Self {
                    match inner { $($inner::$variant => Self::$variant),+ }
                }
            }

            impl From<$outer> for $inner {
                fn from(outer: $outer) -> Self {
                    match outer { $($outer::$variant => Self::$variant),+ }
                }
            }
        )+
    };
}
pub(super) use same;
