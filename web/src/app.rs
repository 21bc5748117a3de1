//! The frame: header, model line, the open tab beside its lens, footer.

use leptos::prelude::*;

use crate::components::drop_target::DropTarget;
use crate::components::footer::Footer;
use crate::components::header::Header;
use crate::components::lens::LensPanel;
use crate::components::model_line::ModelLine;
use crate::components::notices::NoticeList;
use crate::components::theme::Dark;
use crate::page::Page;
use crate::tabs::{self, Missing, TABS, Tab};

/// The whole page.
#[component]
pub fn App() -> impl IntoView {
    let page = Page::start();
    provide_context(page);
    provide_context(Dark::start());
    page.follow_address();
    let open = Memo::new(move |_| page.tab.get());
    let model_line = move || {
        open.track();
        view! { <ModelLine desk=untrack(|| page.open_desk())/> }
    };
    let lens = move || {
        let hint = open.with(|id| tabs::find(id).map_or("", |tab| tab.lens_hint));
        view! { <LensPanel lens=untrack(|| page.open_desk()).lens hint/> }
    };
    view! {
        <Header/>
        {model_line}
        <NoticeList notices=page.notices/>
        <div class="bench">
            <main class="work">
                {TABS.iter().map(|tab| view! { <Panel tab open/> }).collect_view()}
            </main>
            {lens}
        </div>
        <Footer/>
        <DropTarget/>
    }
}

/// A tab's place: made when it is first opened, and only hidden while another is open, so that what
/// it shows stays.
#[component]
fn Panel(tab: &'static Tab, open: Memo<String>) -> impl IntoView {
    let page: Page = expect_context();
    let is_open = Memo::new(move |_| open.with(|open| open == tab.id));
    let made = Memo::new(move |before| before.copied().unwrap_or(false) || is_open.get());
    let attempts = RwSignal::new(0);
    let content = move || {
        attempts.track();
        made.get().then(|| {
            provide_context(page.desk(tab.id));
            Suspend::new(async move {
                match tab.view().await {
                    Ok(view) => view,
                    Err(Missing) => view! { <MissingPart attempts/> }.into_any(),
                }
            })
        })
    };
    view! {
        <div
            id=format!("panel-{}", tab.id)
            role="tabpanel"
            aria-labelledby=format!("tab-{}", tab.id)
            hidden=move || !is_open.get()
        >
            <Suspense>{content}</Suspense>
        </div>
    }
}

/// In place of a tab whose part of the program did not arrive.
#[component]
fn MissingPart(attempts: RwSignal<u32>) -> impl IntoView {
    view! {
        <div class="starting" role="alert">
            <p>"This tab could not be loaded; check the network and try again, or reload the page if it was renewed."</p>
            <button type="button" class="button" on:click=move |_| attempts.update(|n| *n += 1)>
                "Try again"
            </button>
        </div>
    }
}
