//! Which backend a model runs on, why, and what happens when the GPU is lost.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use futures::FutureExt;
use glassformer_cpu::CpuExecutor;
use glassformer_gpu::{Gpu, GpuExecutor, Wanted};
use glassformer_graph::{ExecError, Executor, Precision};

use crate::EngineError;
use crate::measure::{self, Speeds};
use crate::parts::{Begun, part};
use crate::protocol::{BackendChoice, PrecisionChoice};
use crate::ready::Ready;

/// An executor, and one sentence on why it is this one.
pub(crate) struct Place {
    pub(crate) exec: Box<dyn Executor>,
    pub(crate) precision: PrecisionChoice,
    pub(crate) why: String,
    /// The device it is on, if that is a GPU.
    pub(crate) gpu: Weak<Gpu>,
}

/// The precision to ask a backend for: what it does best, unless one is chosen. A GPU that is
/// software emulates half precision, at about half the speed of f32.
pub(crate) fn wanted(choice: PrecisionChoice, gpu: Option<&Gpu>) -> Precision {
    let emulates = gpu.is_some_and(|gpu| gpu.info().software);
    match choice {
        PrecisionChoice::Exact => Precision::Exact,
        PrecisionChoice::Auto if emulates => Precision::Exact,
        PrecisionChoice::Fast | PrecisionChoice::Auto => Precision::Fast,
    }
}

impl Place {
    fn cpu(choice: PrecisionChoice, reason: &str) -> Self {
        let precision = wanted(choice, None);
        let how = match precision {
            Precision::Fast => format!(
                "{} on the CPU: activations are rounded to 8 bits and multiplied as integers.",
                glassformer_cpu::kernels::simd()
            ),
            Precision::Exact => {
                "SIMD on the CPU: f32 arithmetic on the dequantised weights.".to_owned()
            }
        };
        Self {
            exec: Box::new(CpuExecutor::new(precision)),
            precision: choice,
            why: format!("{how}{reason}"),
            gpu: Weak::new(),
        }
    }

    fn gpu(gpu: Rc<Gpu>, choice: PrecisionChoice, reason: &str) -> Self {
        let info = gpu.info();
        let mut name = info.name.clone();
        if name.is_empty() {
            name = "the GPU".into();
        }
        if info.software && !name.to_lowercase().contains("software") {
            name += " (software)";
        }
        let with = if info.subgroups { "with" } else { "without" };
        let precision = wanted(choice, Some(&gpu));
        let device = Rc::downgrade(&gpu);
        let exec = GpuExecutor::new(gpu, precision);
        // The executor computes in f32 where the device knows nothing else; the badge says so.
        let how = match (exec.precision(), choice) {
            (Precision::Fast, _) => "products in f16, sums in f32",
            (_, PrecisionChoice::Fast) => {
                "f32 arithmetic on the dequantised weights, since this device has no half precision"
            }
            _ => "f32 arithmetic on the dequantised weights",
        };
        Self {
            why: format!("Compute shaders on {name}, {with} subgroups: {how}.{reason}"),
            exec: Box::new(exec),
            precision: choice,
            gpu: device,
        }
    }

    /// The CPU, because the GPU refused a model.
    pub(crate) fn instead_of_gpu(
        precision: PrecisionChoice,
        error: &dyn std::error::Error,
    ) -> Self {
        let reason = format!(" The GPU did not take this model: {error}");
        Self::cpu(precision, &reason)
    }
}

/// Loses the GPU on demand, as a crash of its driver would.
#[derive(Clone, Default)]
pub struct DeviceSwitch(Rc<RefCell<Weak<Gpu>>>);

impl DeviceSwitch {
    /// Loses the GPU, if one is in use.
    pub fn lose(&self) {
        if let Some(gpu) = self.0.borrow().upgrade() {
            gpu.lose();
        }
    }
}

/// Opens executors and remembers how often a GPU was lost.
#[derive(Default)]
pub(crate) struct Executors {
    switch: DeviceSwitch,
    losses: u32,
}

impl Executors {
    pub(crate) fn switch(&self) -> DeviceSwitch {
        self.switch.clone()
    }

    /// What is to compute. Never fails: where there is no GPU, the CPU does, and says why.
    pub(crate) async fn open(
        &mut self,
        choice: BackendChoice,
        precision: PrecisionChoice,
    ) -> Place {
        // Somebody chose anew: a GPU that was lost may be tried again.
        self.losses = 0;
        match choice {
            BackendChoice::Cpu => Place::cpu(precision, ""),
            BackendChoice::WebGpu => match self.device().await {
                Ok(gpu) => on_gpu(gpu, precision, "").await,
                Err(reason) => Place::cpu(precision, &format!(" {reason}")),
            },
            BackendChoice::Auto => self.fastest(precision).await,
        }
    }

    /// The device that is in use, or a new one.
    async fn device(&mut self) -> Result<Rc<Gpu>, String> {
        if let Some(gpu) = self.in_use() {
            return Ok(gpu);
        }
        // Where no GPU is offered, what drives one need not be fetched.
        #[cfg(target_arch = "wasm32")]
        crate::browser::offers_gpu()
            .await
            .map_err(|reason| glassformer_gpu::GpuError::NoAdapter(reason).to_string())?;
        let opening = open_gpu().await.map_err(|error| error.to_string())?;
        let gpu = opening.await.map_err(|error| error.to_string())?;
        *self.switch.0.borrow_mut() = Rc::downgrade(&gpu);
        Ok(gpu)
    }

    /// The device that models share, if it works.
    fn in_use(&self) -> Option<Rc<Gpu>> {
        let gpu = self.switch.0.borrow().upgrade();
        gpu.filter(|gpu| gpu.is_sound())
    }

    /// The faster of both, as measured on this machine; a GPU that is software never is.
    async fn fastest(&mut self, precision: PrecisionChoice) -> Place {
        let gpu = match self.device().await {
            Ok(gpu) => gpu,
            Err(reason) => return Place::cpu(precision, &format!(" {reason}")),
        };
        if gpu.info().software {
            let reason = " The only GPU here is computed by the CPU, which SIMD does better.";
            return Place::cpu(precision, reason);
        }
        match speeds(&gpu, precision).await {
            Ok(Speeds { gpu: fast, cpu }) if fast > cpu => {
                let reason = format!(
                    " Measured here: {:.1} times as fast as the CPU.",
                    fast / cpu
                );
                on_gpu(gpu, precision, &reason).await
            }
            Ok(Speeds { gpu: slow, cpu }) => {
                let times = cpu / slow;
                let reason = format!(" Measured here: {times:.1} times as fast as the GPU.");
                Place::cpu(precision, &reason)
            }
            Err(error) => Place::cpu(
                precision,
                &format!(" The GPU could not be measured: {error}"),
            ),
        }
    }

    /// Where to go on after the GPU was lost or failed, and what to tell: a new device the first
    /// time, then the CPU. A device that another model had opened since is no loss.
    pub(crate) async fn after_loss(
        &mut self,
        failed: &Ready,
        error: &ExecError,
    ) -> (Place, String) {
        let precision = failed.precision;
        // What drivers say is long, and of no help to the person.
        let what = match error {
            ExecError::DeviceLost => "The GPU was lost.",
            _ => "The GPU reported an error.",
        };
        let reopened = self
            .in_use()
            .is_some_and(|gpu| !failed.gpu.ptr_eq(&Rc::downgrade(&gpu)));
        if !reopened {
            self.losses += 1;
            *self.switch.0.borrow_mut() = Weak::new();
        }
        if self.losses <= 1
            && let Ok(gpu) = self.device().await
        {
            let reason = format!(" {what} It was opened again.");
            let notice = format!("{what} It was opened again, and the text goes on.");
            return (on_gpu(gpu, precision, &reason).await, notice);
        }
        let place = Place::cpu(precision, &format!(" {what}"));
        (place, format!("{what} The text goes on with the CPU."))
    }
}

/// The GPU with a model's executor on it.
async fn on_gpu(gpu: Rc<Gpu>, precision: PrecisionChoice, reason: &str) -> Place {
    match gpu_place(gpu, precision, reason).await {
        Ok(place) => place,
        // Not after the device was opened by the same part.
        Err(error) => Place::cpu(precision, &format!(" {error}")),
    }
}

async fn speeds(gpu: &Rc<Gpu>, precision: PrecisionChoice) -> Result<Speeds, EngineError> {
    measured(gpu, precision).await?.await
}

part! { gpu:
    fn open_gpu<'a>() -> Begun<'a, Rc<Gpu>> {
        let opened = Gpu::open(Wanted::default());
        Ok(opened.map(|gpu| gpu.map_err(|error| EngineError::NoGpu(error.to_string()))).boxed_local())
    }
}

part! { gpu:
    fn gpu_place(gpu: Rc<Gpu>, precision: PrecisionChoice, reason: &str) -> Result<Place, EngineError> {
        Ok(Place::gpu(gpu, precision, reason))
    }
}

part! { gpu:
    fn measured<'a>(gpu: &'a Rc<Gpu>, precision: PrecisionChoice) -> Begun<'a, Speeds> {
        Ok(measure::speeds(gpu, precision).boxed_local())
    }
}
