//! Parts of the program that are fetched when they are first called.

use futures::future::LocalBoxFuture;

use crate::EngineError;

/// Work that has begun; or the part that does it did not arrive.
pub(crate) type Begun<'a, T> = Result<LocalBoxFuture<'a, Result<T, EngineError>>, EngineError>;

/// An asynchronous function that is, with what only it needs, in the part `$part` of a program that is
/// cut into parts, and an ordinary one elsewhere. It returns a `Result` with an [`EngineError`].
macro_rules! part {
    ($part:ident: $(#[$note:meta])* fn $name:ident $(<$life:lifetime>)? ($($arg:ident: $kind:ty),* $(,)?) -> $gives:ty $body:block) => {
        $(#[$note])*
        #[cfg(feature = "parts")]
        #[wasm_split_helpers::wasm_split($part, fallible)]
        fn $name $(<$life>)? ($($arg: $kind),*) -> $gives $body

        $(#[$note])*
        #[cfg(not(feature = "parts"))]
        async fn $name $(<$life>)? ($($arg: $kind),*) -> $gives $body
    };
}

pub(crate) use part;
