def custom_entry(req, context):
    return f"{req.route_params['id']} {context.function_name} {context.function_directory}"
