#![allow(clippy::unwrap_used)]
use super::*;

/// As in SmolLM2-135M-Instruct's metadata.
const SMOLLM2: &str = "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

fn chat(
    template: &str,
    turns: &[(&str, &str)],
    add_generation_prompt: bool,
) -> Result<String, TextError> {
    let messages: Vec<Message> = turns
        .iter()
        .map(|(role, content)| Message {
            role: (*role).to_owned(),
            content: (*content).to_owned(),
        })
        .collect();
    let context = TemplateContext {
        messages: &messages,
        tools: None,
        documents: None,
        add_generation_prompt,
        bos_token: Some("<s>".to_owned()),
        eos_token: Some("</s>".to_owned()),
        unk_token: None,
        pad_token: None,
    };
    render(template, &context)
}

#[test]
fn smollm2_adds_its_system_message() {
    assert_eq!(
        chat(SMOLLM2, &[("user", "Hi <&> {{ x }}")], true).unwrap(),
        "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n\
         <|im_start|>user\nHi <&> {{ x }}<|im_end|>\n<|im_start|>assistant\n"
    );
    assert_eq!(
        chat(SMOLLM2, &[("system", "S"), ("user", "U\n")], false).unwrap(),
        "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU\n<|im_end|>\n"
    );
    assert_eq!(chat(SMOLLM2, &[], false).unwrap(), "");
}

/// The idioms of Llama 2's, Mistral's and Zephyr's templates.
const ALTERNATING: &str = "\
{%- if messages[0]['role'] == 'system' %}
    {%- set system = messages[0]['content'].strip() %}
    {%- set rest = messages[1:] %}
{%- else %}
    {%- set rest = messages %}
{%- endif %}
{{- bos_token }}
{%- for message in rest %}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
        {{- raise_exception('Conversation roles must alternate user/assistant') }}
    {%- endif %}
    {%- if loop.first and system is defined %}
        {{- '<<SYS>>' + system + '<</SYS>>' }}
    {%- endif %}
    {{- '[' ~ message.role.upper() ~ '] ' ~ (message.content | trim) }}
    {%- if loop.last and not add_generation_prompt %}{{ eos_token }}{% endif %}
{%- endfor %}
";

#[test]
fn common_idioms_work() {
    assert_eq!(
        chat(
            ALTERNATING,
            &[("system", " S "), ("user", " a\n"), ("assistant", "b")],
            false
        )
        .unwrap(),
        "<s><<SYS>>S<</SYS>>[USER] a[ASSISTANT] b</s>"
    );
    assert_eq!(
        chat(ALTERNATING, &[("user", "a")], true).unwrap(),
        "<s>[USER] a"
    );
}

#[test]
fn refusal_is_given_in_the_templates_words() {
    let error = chat(ALTERNATING, &[("assistant", "a")], false).unwrap_err();
    let reason = "Conversation roles must alternate user/assistant".to_owned();
    assert_eq!(error, TextError::TemplateRefused { reason });
    let in_macro = "{% macro f() %}{{ raise_exception('no') }}{% endmacro %}{{ f() }}";
    assert_eq!(
        chat(in_macro, &[], false),
        Err(TextError::TemplateRefused {
            reason: "no".to_owned()
        })
    );
}

#[test]
fn blocks_are_trimmed_as_transformers_trims_them() {
    let template = "  {% if true %}\n  x\n  {% endif %}\ny\n";
    assert_eq!(chat(template, &[], false).unwrap(), "  x\ny");
}

#[test]
fn extensions_of_transformers() {
    let template = "{% for m in messages %}{% if m.role == 'x' %}{% continue %}{% endif %}{% if loop.index > 2 %}{% break %}{% endif %}\
                    {%- generation -%} {{ m.content }} {%- endgeneration -%}{% endfor %}";
    assert_eq!(
        chat(template, &[("x", "1"), ("user", "2"), ("user", "3")], false).unwrap(),
        "2"
    );
    let template = "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}\
                    {{ tools is none }}{{ documents is none }}{{ missing is defined }}{{ unk_token is defined }}{{ missing }}";
    assert_eq!(
        chat(template, &[("a", "b")], false).unwrap(),
        "1TrueTrueFalseFalse"
    );
}

#[test]
fn json_is_pythons() {
    assert_eq!(
        chat(
            "{{ messages | tojson }}",
            &[("user", "<é> \"'\"\n"), ("b", "c")],
            false
        )
        .unwrap(),
        r#"[{"role": "user", "content": "<é> \"'\"\n"}, {"role": "b", "content": "c"}]"#
    );
    assert_eq!(
        chat(
            "{{ messages[0] | tojson(indent=2) }}",
            &[("user", "x")],
            false
        )
        .unwrap(),
        "{\n  \"role\": \"user\",\n  \"content\": \"x\"\n}"
    );
    assert_eq!(
        chat(
            "{{ {} | tojson }}{{ [] | tojson }}{{ none | tojson }}{{ 1.0 | tojson }}",
            &[],
            false
        )
        .unwrap(),
        "{}[]null1.0"
    );
}

#[test]
fn broken_and_endless_templates_are_errors() {
    let endless = "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}{% endfor %}{% endfor %}{% endfor %}";
    for template in [
        "{% if %}",
        "{{ unknown() }}",
        "{{ messages[0].role.x.y }}",
        "{{ 'a'.nope() }}",
        "{% include 'x' %}",
        "{%",
        endless,
    ] {
        let error = chat(template, &[], false).unwrap_err();
        assert!(
            matches!(error, TextError::Template { .. }),
            "{template}: {error}"
        );
        assert!(!error.to_string().contains('\n'), "{template}: {error}");
    }
    let recursion = "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}";
    assert!(matches!(
        chat(recursion, &[], false),
        Err(TextError::Template { .. })
    ));
}
