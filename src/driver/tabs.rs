//! What the driver does for the other tabs: the channel, the lease and the lock.

use std::rc::Rc;

use session_keeper_core::{Input, LeaseRecord, Message, PageEvent};

use super::state::Command;
use super::{Driver, dispatch_to};
use crate::lock::Lock;
use crate::tabs::Channel;

impl Driver {
    /// The channel is open while the page can act.
    pub(super) fn set_channel(self: &Rc<Self>, event: PageEvent) {
        match event {
            PageEvent::Suspended => self.state.borrow_mut().channel = None,
            PageEvent::Resumed if self.is_shared && self.state.borrow().channel.is_none() => {
                let weak = Rc::downgrade(self);
                let channel = Channel::open(&self.options.name, move |message, user| {
                    if let Some(driver) = weak.upgrade() {
                        driver.take(Command::Message(message, user));
                    }
                });
                self.state.borrow_mut().channel = channel.map(Rc::new);
            }
            PageEvent::Resumed
            | PageEvent::Visible
            | PageEvent::Hidden
            | PageEvent::Online
            | PageEvent::Offline
            | PageEvent::UserActivity => {}
        }
    }

    pub(super) fn broadcast(&self, message: Message) {
        // Cloning the user may run the page's code, such as a getter of its own object.
        let channel = self.state.borrow().channel.clone();
        if let Some(channel) = channel {
            channel.post(message, &self.user());
        }
    }

    pub(super) fn write_lease(self: &Rc<Self>, lease: &LeaseRecord) {
        if self.storage.write_lease(lease).is_err() {
            self.dispatch(Input::LeaseUnavailable);
        }
    }

    pub(super) fn lock(self: &Rc<Self>) {
        let weak = Rc::downgrade(self);
        let name = [&*self.options.name, "#refresh"].concat();
        let lock = Lock::ask(&name, move || dispatch_to(&weak, Input::Locked));
        self.state.borrow_mut().lock = lock;
    }

    pub(super) fn unlock(&self) {
        let lock = self.state.borrow_mut().lock.take();
        drop(lock);
    }
}
