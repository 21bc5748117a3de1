//! Numbers in fields that are typed in.

use leptos::html::Input;
use leptos::prelude::*;

/// Shows a number in a field, but not while the person types there: browsers read "0." as "0", and what is written
/// back would take the point away. Once the field is left, it shows what is in use.
pub fn show_number(field: NodeRef<Input>, number: Signal<String>) {
    Effect::new(move |_| {
        let text = number.get();
        let Some(field) = field.get() else { return };
        let focused = document().active_element();
        if !focused.is_some_and(|focused| focused.is_same_node(Some(&field))) {
            field.set_value(&text);
        }
    });
}
