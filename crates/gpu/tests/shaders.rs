//! Every shader, joined in every variant, parses and validates; every file of `shaders/` is used.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::path::Path;

use glassformer_gpu::shaders::{self, INCLUDES, OPERATIONS, Variant};
use glassformer_gpu::weights::Format;
use naga::valid::{Capabilities, ShaderStages, SubgroupOperationSet, ValidationFlags, Validator};

fn variants() -> Vec<Variant> {
    let mut variants = Vec::new();
    for weights in Format::ALL {
        for bits in 0..8 {
            let [aligned, subgroups, half] = [1, 2, 4].map(|bit| bits & bit != 0);
            variants.push(Variant {
                weights: Some(weights),
                aligned,
                subgroups,
                half,
            });
        }
    }
    variants
}

#[test]
fn every_shader_is_valid() {
    let mut checked = 0;
    for (operation, _) in OPERATIONS {
        let texts = variants().into_iter();
        let texts: BTreeSet<String> = texts
            .map(|variant| shaders::join(operation, variant).unwrap())
            .collect();
        for text in texts {
            let module = naga::front::wgsl::parse_str(&text);
            let module = module
                .unwrap_or_else(|e| panic!("{}", e.emit_to_string_with_path(&text, operation)));
            let capabilities = Capabilities::SUBGROUP
                | Capabilities::SHADER_FLOAT16
                | Capabilities::SHADER_FLOAT16_IN_FLOAT32;
            let mut validator = Validator::new(ValidationFlags::all(), capabilities);
            validator
                .subgroup_stages(ShaderStages::COMPUTE)
                .subgroup_operations(SubgroupOperationSet::all());
            if let Err(error) = validator.validate(&module) {
                panic!("{operation}: {}", error.emit_to_string(&text));
            }
            assert!(!shaders::bindings(&text).is_empty(), "{operation}");
            assert!(shaders::bindings(&text).len() <= 9, "{operation}");
            checked += 1;
        }
    }
    println!("{checked} joined shaders");
    assert!(checked >= OPERATIONS.len());
}

#[test]
fn every_file_is_listed() {
    let folder = Path::new("../../shaders");
    let files = |folder: &Path| {
        let files = std::fs::read_dir(folder)
            .unwrap()
            .map(|file| file.unwrap().path());
        let files = files.filter(|path| path.extension().is_some_and(|e| e == "wgsl"));
        let names = files.map(|path| path.file_stem().unwrap().to_string_lossy().into_owned());
        names.collect::<BTreeSet<_>>()
    };
    let listed = |list: &[(&str, &str)]| {
        let names = list.iter().map(|(name, _)| (*name).to_owned());
        names.collect::<BTreeSet<_>>()
    };
    assert!(!OPERATIONS.is_empty());
    assert_eq!(files(folder), listed(OPERATIONS));
    assert_eq!(files(&folder.join("include")), listed(INCLUDES));
}
