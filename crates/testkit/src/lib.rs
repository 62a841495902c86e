pub mod model_stub;
