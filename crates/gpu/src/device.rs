//! The device: asked for once, shared by everything that runs on it.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures::channel::oneshot;
use glassformer_graph::{Counts, ExecError};
use wgpu::{
    Adapter, BindGroupLayout, BindGroupLayoutEntry, BindingType, BufferBindingType, BufferUsages,
    ComputePipeline, ComputePipelineDescriptor, Device, DeviceDescriptor, DeviceType, Features,
    Instance, InstanceDescriptor, PipelineCompilationOptions, PowerPreference, Queue,
    RequestAdapterOptions, ShaderModuleDescriptor, ShaderSource, ShaderStages,
};

use crate::GpuError;
#[cfg(target_arch = "wasm32")]
use crate::browser::{self, Asking};
use crate::kernel::Kernel;
use crate::shaders::{self, Access};

/// What a device is and can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    /// As the driver or browser names it; may be empty.
    pub name: String,
    /// Computed by the CPU in the end: never worth taking in place of SIMD.
    pub software: bool,
    /// Half-precision arithmetic in shaders.
    pub f16: bool,
    /// Threads can exchange numbers within a subgroup.
    pub subgroups: bool,
}

impl DeviceInfo {
    /// Tells devices apart for whoever keeps measurements of them.
    pub fn key(&self) -> String {
        format!(
            "{} f16={} subgroups={}",
            self.name, self.f16, self.subgroups
        )
    }
}

/// Which features and limits to use where the adapter has them; tests take them away one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// See [`DeviceInfo::f16`].
    pub f16: bool,
    /// See [`DeviceInfo::subgroups`].
    pub subgroups: bool,
    /// Most bytes of one binding, where the adapter takes more.
    pub most_binding: Option<u64>,
}

impl Default for Wanted {
    fn default() -> Self {
        Self {
            f16: true,
            subgroups: true,
            most_binding: None,
        }
    }
}

/// A pipeline and the layout of its bindings.
#[derive(Debug)]
pub struct Pipeline {
    pub(crate) compute: ComputePipeline,
    pub(crate) layout: BindGroupLayout,
    /// By number.
    pub(crate) bindings: Vec<(u32, Access)>,
}

/// An open device with its pipelines.
#[derive(Debug)]
pub struct Gpu {
    pub(crate) device: Device,
    pub(crate) queue: Queue,
    info: DeviceInfo,
    health: Arc<Health>,
    pipelines: RefCell<HashMap<Kernel, Rc<Pipeline>>>,
    /// Dispatches, submits (of one pass each) and tokens run so far.
    counts: Cell<Counts>,
}

/// A browser would keep the device and all it holds until the garbage collector comes by.
impl Drop for Gpu {
    fn drop(&mut self) {
        self.device.destroy();
    }
}

/// Shaders that a browser compiles at once: its threads have other work too.
#[cfg(target_arch = "wasm32")]
const AT_ONCE: usize = 4;

/// What the device said unasked.
#[derive(Debug, Default)]
struct Health {
    lost: AtomicBool,
    error: Mutex<Option<String>>,
}

/// Asks for the adapter that would be used.
///
/// # Errors
/// If there is none.
async fn adapter() -> Result<Adapter, GpuError> {
    let instance = Instance::new(InstanceDescriptor::new_without_display_handle());
    let options = RequestAdapterOptions {
        power_preference: PowerPreference::HighPerformance,
        ..RequestAdapterOptions::default()
    };
    let adapter = instance.request_adapter(&options).await;
    adapter.map_err(|error| GpuError::NoAdapter(error.to_string()))
}

/// What a device of this adapter would be.
fn describe(adapter: &Adapter, wanted: Wanted) -> DeviceInfo {
    let (info, features) = (adapter.get_info(), adapter.features());
    let name = info.name.to_lowercase();
    let software = info.device_type == DeviceType::Cpu
        || ["swiftshader", "llvmpipe", "warp"]
            .iter()
            .any(|s| name.contains(s));
    DeviceInfo {
        software,
        f16: wanted.f16 && features.contains(Features::SHADER_F16),
        subgroups: wanted.subgroups && features.contains(Features::SUBGROUP),
        name: info.name,
    }
}

impl Gpu {
    /// Opens a device.
    ///
    /// # Errors
    /// If there is no adapter, or it refuses.
    pub async fn open(wanted: Wanted) -> Result<Rc<Self>, GpuError> {
        let adapter = adapter().await?;
        let info = describe(&adapter, wanted);
        let mut features = Features::empty();
        features.set(Features::SHADER_F16, info.f16);
        features.set(Features::SUBGROUP, info.subgroups);
        let mut limits = adapter.limits();
        let most = &mut limits.max_storage_buffer_binding_size;
        *most = wanted.most_binding.unwrap_or(*most).min(*most);
        let descriptor = DeviceDescriptor {
            required_features: features,
            required_limits: limits,
            ..DeviceDescriptor::default()
        };
        #[cfg(target_arch = "wasm32")]
        let asking = wanted.subgroups.then(Asking::start).flatten();
        let opening = adapter.request_device(&descriptor);
        #[cfg(target_arch = "wasm32")]
        let info = DeviceInfo {
            subgroups: asking.is_some_and(|asking| asking.granted()),
            ..info
        };
        let (device, queue) = opening
            .await
            .map_err(|error| GpuError::NoDevice(error.to_string()))?;
        let health = Arc::new(Health::default());
        let hears = Arc::clone(&health);
        device.set_device_lost_callback(move |_, _| hears.lost.store(true, Ordering::Release));
        let hears = Arc::clone(&health);
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            let mut first = hears.error.lock().unwrap_or_else(PoisonError::into_inner);
            first.get_or_insert_with(|| error.to_string());
        }));
        Ok(Rc::new(Self {
            device,
            queue,
            info,
            health,
            pipelines: RefCell::default(),
            counts: Cell::default(),
        }))
    }

    /// Counts a submit of one pass with so many dispatches for so many tokens.
    pub(crate) fn count(&self, dispatches: usize, tokens: usize) {
        let mut counts = self.counts.get();
        counts.dispatches += dispatches as u64;
        counts.passes += 1;
        counts.submits += 1;
        counts.tokens += tokens as u64;
        self.counts.set(counts);
    }

    /// What it was asked to do so far; nothing of what it holds.
    pub(crate) fn counts(&self) -> Counts {
        self.counts.get()
    }

    /// What it is and can do.
    pub fn info(&self) -> &DeviceInfo {
        &self.info
    }

    /// Whether the device is gone, and everything on it.
    pub fn is_lost(&self) -> bool {
        self.health.lost.load(Ordering::Acquire)
    }

    /// Whether it is neither lost nor has reported an error.
    pub fn is_sound(&self) -> bool {
        self.check().is_ok()
    }

    /// Loses the device, as a driver's crash would.
    pub fn lose(&self) {
        self.health.lost.store(true, Ordering::Release);
        self.device.destroy();
    }

    /// Remembers that the device is gone, as something showed before it said so: nobody goes on with it.
    fn found_lost(&self) -> ExecError {
        self.health.lost.store(true, Ordering::Release);
        ExecError::DeviceLost
    }

    /// Fails if the device is lost or has reported an error.
    pub(crate) fn check(&self) -> Result<(), ExecError> {
        if self.is_lost() {
            return Err(ExecError::DeviceLost);
        }
        let error = self
            .health
            .error
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match &*error {
            // It stays: what was made by the call that failed is of no use to later ones.
            Some(error) => Err(ExecError::Device(error.clone())),
            None => Ok(()),
        }
    }

    /// The compiled pipeline of a kernel.
    pub(crate) fn pipeline(&self, kernel: &Kernel) -> Result<Rc<Pipeline>, GpuError> {
        if let Some(pipeline) = self.pipelines.borrow().get(kernel) {
            return Ok(Rc::clone(pipeline));
        }
        let pipeline = Rc::new(self.compile(kernel)?);
        let mut pipelines = self.pipelines.borrow_mut();
        pipelines.insert(kernel.clone(), Rc::clone(&pipeline));
        Ok(pipeline)
    }

    fn compile(&self, kernel: &Kernel) -> Result<Pipeline, GpuError> {
        let text = text_of(kernel)?;
        let bindings = shaders::bindings(&text);
        let entry = |&(binding, access): &(u32, Access)| BindGroupLayoutEntry {
            binding,
            visibility: ShaderStages::COMPUTE,
            ty: BindingType::Buffer {
                ty: match access {
                    Access::Uniform => BufferBindingType::Uniform,
                    Access::Read => BufferBindingType::Storage { read_only: true },
                    Access::Write => BufferBindingType::Storage { read_only: false },
                },
                has_dynamic_offset: false,
                min_binding_size: None,
            },
            count: None,
        };
        let entries: Vec<_> = bindings.iter().map(entry).collect();
        let layout = self
            .device
            .create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
                label: Some(kernel.operation),
                entries: &entries,
            });
        let pipeline_layout = self
            .device
            .create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                label: Some(kernel.operation),
                bind_group_layouts: &[Some(&layout)],
                ..wgpu::PipelineLayoutDescriptor::default()
            });
        let constants = kernel.constants();
        let module = self.device.create_shader_module(ShaderModuleDescriptor {
            label: Some(kernel.operation),
            source: ShaderSource::Wgsl(text.into()),
        });
        let compute = self
            .device
            .create_compute_pipeline(&ComputePipelineDescriptor {
                label: Some(kernel.operation),
                layout: Some(&pipeline_layout),
                module: &module,
                entry_point: Some("main"),
                compilation_options: PipelineCompilationOptions {
                    constants: &constants,
                    // Every kernel writes shared memory before it reads it.
                    zero_initialize_workgroup_memory: false,
                },
                cache: None,
            });
        Ok(Pipeline {
            compute,
            layout,
            bindings,
        })
    }

    /// Compiles what is not compiled yet. In a browser other threads do, and its events go on.
    pub(crate) async fn warm(&self, kernels: &[&Kernel]) -> Result<(), GpuError> {
        #[cfg(target_arch = "wasm32")]
        let _compiled = {
            use futures::stream::{self, StreamExt};
            let new = kernels
                .iter()
                .filter(|kernel| !self.pipelines.borrow().contains_key(**kernel));
            let compile = |kernel: &&Kernel| {
                let kernel = (*kernel).clone();
                async move {
                    let text = text_of(&kernel).ok()?;
                    let bindings = shaders::bindings(&text);
                    let constants = kernel.constants();
                    // What fails fails again below, and is told there.
                    let compiled = browser::compile(&self.device, &text, &bindings, &constants);
                    compiled.await.ok()
                }
            };
            let all = stream::iter(new.map(compile)).buffer_unordered(AT_ONCE);
            all.collect::<Vec<_>>().await
        };
        kernels
            .iter()
            .try_for_each(|kernel| self.pipeline(kernel).map(drop))
    }

    /// A new buffer of at least `bytes`, zeroed.
    pub(crate) fn buffer(&self, label: &str, bytes: usize, usage: BufferUsages) -> Buffer {
        Buffer(self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            // Copies are whole words, and a binding holds at least one vector.
            size: bytes.max(16).next_multiple_of(4) as u64,
            usage,
            mapped_at_creation: false,
        }))
    }

    /// Reads a buffer made with [`BufferUsages::MAP_READ`], once what was submitted has run.
    pub(crate) async fn map(&self, buffer: &Buffer, bytes: usize) -> Result<Vec<u8>, ExecError> {
        if bytes == 0 {
            return Ok(Vec::new());
        }
        let (done, mapped) = oneshot::channel();
        let range = ..bytes.next_multiple_of(4) as u64;
        buffer.map_async(wgpu::MapMode::Read, range, move |result| {
            // Nobody waits any more: the reader was dropped.
            let _ = done.send(result);
        });
        #[cfg(not(target_arch = "wasm32"))]
        if self
            .device
            .poll(wgpu::PollType::wait_indefinitely())
            .is_err()
        {
            return Err(self.found_lost());
        }
        // A buffer that lives can be mapped; only a device that is gone refuses, and it may do so
        // before it says that it is gone.
        let mapped = mapped.await.map_err(|_| self.found_lost())?;
        if mapped.is_err() {
            self.check()?;
            return Err(self.found_lost());
        }
        self.check()?;
        let view = buffer.get_mapped_range(range);
        let view = view.map_err(|error| ExecError::Device(error.to_string()))?;
        let data = view[..bytes].to_vec();
        let mut counts = self.counts.get();
        counts.read_bytes += bytes as u64;
        self.counts.set(counts);
        drop(view);
        buffer.unmap();
        Ok(data)
    }
}

/// The text of a kernel's shader, as the device takes it.
fn text_of(kernel: &Kernel) -> Result<String, GpuError> {
    let text = shaders::join(kernel.operation, kernel.variant)?;
    // naga, which reads the text natively, refuses what browsers ask for.
    if cfg!(target_arch = "wasm32") && kernel.variant.subgroups {
        return Ok(format!("enable subgroups;\n{text}"));
    }
    Ok(text)
}

/// A buffer that is freed when it is dropped: in a browser it would otherwise stay until the
/// garbage collector comes by, which knows nothing of the GPU's memory.
#[derive(Debug)]
pub(crate) struct Buffer(wgpu::Buffer);

impl Deref for Buffer {
    type Target = wgpu::Buffer;

    fn deref(&self) -> &wgpu::Buffer {
        &self.0
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.0.destroy();
    }
}
