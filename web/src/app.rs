//! The frame: header, model line, the open tab beside the lens, footer.

use leptos::prelude::*;

use crate::components::drop_target::DropTarget;
use crate::components::footer::Footer;
use crate::components::header::Header;
use crate::components::lens::LensPanel;
use crate::components::model_line::ModelLine;
use crate::components::notices::NoticeList;
use crate::page::Page;
use crate::tabs::TABS;

/// The whole page.
#[component]
pub fn App() -> impl IntoView {
    let page = Page::start();
    provide_context(page);
    page.follow_address();
    let open_tab = move || {
        page.tab.with(|open| {
            TABS.iter()
                .find(|tab| tab.id == open)
                .map(|tab| (tab.view)())
        })
    };
    view! {
        <Header/>
        <ModelLine/>
        <NoticeList notices=page.notices/>
        <div class="bench">
            <main class="work">
                <div
                    id="panel"
                    role="tabpanel"
                    aria-labelledby=move || format!("tab-{}", page.tab.get())
                >
                    {open_tab}
                </div>
            </main>
            <LensPanel lens=page.lens/>
        </div>
        <Footer/>
        <DropTarget/>
    }
}
