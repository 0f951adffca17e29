"""A Flask app that hands work to polypool and waits for it as long as a visitor would."""
